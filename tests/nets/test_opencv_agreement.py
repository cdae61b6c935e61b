"""Every classifier of the catalogue, run by the embedded engine and by OpenCV on the same two files.

Nets are rendered as users render them, with random weights, calibrated, and random biases and scales.
Most run on small inputs, which leave all layers in place; two run at full size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from caffeflow.cli.main import run
from caffeflow.engine.calibration import calibrate
from caffeflow.engine.net import Net
from caffeflow.engine.synthetic import synthetic_feeds
from caffeflow.engine.training import FusedExecutor
from caffeflow.evaluate.opencv_check import find_obstacle, run_opencv
from caffeflow.proto.binary import LayerArrays, write_caffemodel
from caffeflow.proto.caffe_pb2 import FillerParameter
from caffeflow.render.catalog import find_net, net_names
from caffeflow.weights.initial import initial_arrays
from caffeflow.workflows.open_net import Ask, open_net

TOLERANCE = 1e-4  # of the largest value


@dataclass(frozen=True)
class Case:
    """A rendered net.

    Attributes:
        obstacle: Why OpenCV cannot check it; empty if it can.
    """

    net: str
    variant: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    obstacle: str = ""

    def __str__(self) -> str:
        words = [self.net, self.variant, *(f"{name}={value}" for name, value in self.settings.items())]
        return " ".join(word for word in words if word)


def size(side: int, **settings: str) -> dict[str, str]:
    return {"input_size": str(side), **settings}


CASES = [
    Case("lenet"),
    Case("cifar10-quick"),
    Case("caffenet", "", size(67)),
    Case("vgg16", "", size(32)),
    Case("mobilenet-v1"),  # at full size
    Case("mobilenet-v1", "", size(96, width="0.25", activation="relu6")),
    Case("mobilenet-v2", "shicai"),  # at full size
    Case("mobilenet-v2", "shicai", size(32)),
    Case("mobilenet-v2", "paper", size(96, activation="relu6", width="0.5")),
    Case("resnet50", "he", size(64)),
    Case("resnet50", "he", size(64, width="0.5")),
    Case("resnet50", "torchvision", size(64)),
    Case("resnet50", "torchvision", size(96, pool="slice")),
    Case("regnetx-400mf", "400mf", size(64)),
    Case("regnetx-800mf", "800mf", size(64)),
    Case("regnetx-1.6gf", "1.6gf", size(64)),
    Case("regnetx-3.2gf", "3.2gf", size(64)),
    # What OpenCV cannot check is left to the loop oracles and to the real Caffe.
    Case("mobilenet-v1", "", size(64, activation="clip"), obstacle="no layer type Clip"),
    Case("mobilenet-v2", "paper", size(96), obstacle="no layer type Clip"),
    Case("resnet50", "torchvision", size(64, pool="floor"), obstacle="round_mode"),
]


def test_every_classifier_and_variant_of_the_catalogue_is_here() -> None:
    classifiers = [name for name in net_names() if find_net(name).task.name == "classification"]
    known = {(name, variant) for name in classifiers for variant in find_net(name).variants or [""]}
    checked = {(case.net, case.variant) for case in CASES if not case.obstacle}
    assert checked == known
    assert len(known) == 13
    assert [len([case for case in CASES if bool(case.obstacle) is blocked]) for blocked in (False, True)] == [
        17,
        3,
    ]


def render(case: Case, folder: Path) -> Path:
    words = ["render", case.net, "--out", str(folder)]
    words += ["--variant", case.variant] if case.variant else []
    for name, value in case.settings.items():
        words += ["--set", f"net.{name}={value}"]
    assert run(words) == 0
    return folder / "deploy.prototxt"


def random_weights(deploy: Path) -> list[LayerArrays]:
    opened = open_net(Ask(net=str(deploy), batch_size=4))
    shapes = opened.shapes()
    net = Net(opened.graph, shapes, seed=None)
    rng = np.random.default_rng(5)
    layers = initial_arrays(shapes, seed=3, instead_of_zeros=FillerParameter(type="msra"))
    net.load([shaken(layer, rng) for layer in layers])
    calibrate(net, [synthetic_feeds(net, seed=seed) for seed in range(2)])
    return net.arrays()


def shaken(layer: LayerArrays, rng: np.random.Generator) -> LayerArrays:
    """Moves biases from 0 and scales from 1, where a slip would not show."""
    if layer.type == "BatchNorm":
        return layer
    arrays = [a if a.ndim > 1 else a + rng.uniform(-0.4, 0.4, a.shape) for a in layer.arrays]
    return replace(layer, arrays=tuple(array.astype(np.float32) for array in arrays))


@pytest.mark.parametrize("case", [case for case in CASES if not case.obstacle], ids=str)
def test_engine_and_opencv_agree(case: Case, tmp_path: Path) -> None:
    deploy = render(case, tmp_path / "net")
    layers = random_weights(deploy)
    write_caffemodel(tmp_path / "net.caffemodel", name=case.net, layers=layers)
    opened = open_net(Ask(net=str(deploy)))
    shapes = opened.shapes()
    assert find_obstacle(shapes) is None

    net = Net(opened.graph, shapes, seed=None)
    net.load(layers)
    softmax = opened.graph.nodes[-1]
    assert softmax.layer.type == "Softmax"
    scores = softmax.bottoms[0]
    (maker,) = (node for node in opened.graph.nodes if scores in node.tops)
    feeds = synthetic_feeds(net, seed=9)
    ours = FusedExecutor(net, keep=[scores.blob]).forward(feeds).outputs[scores.blob].numpy()
    theirs = run_opencv(
        deploy, tmp_path / "net.caffemodel", inputs={"data": feeds["data"][0].numpy()}, layer=maker.name
    )

    assert ours.shape == theirs.shape
    assert 0.2 < ours.std() < 5, "weights that were not calibrated compare as equal or different by chance"
    largest = np.abs(theirs).max()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * largest)


@pytest.mark.parametrize("case", [case for case in CASES if case.obstacle], ids=str)
def test_what_opencv_cannot_check_is_known_before(case: Case, tmp_path: Path) -> None:
    opened = open_net(Ask(net=str(render(case, tmp_path / "net"))))
    obstacle = find_obstacle(opened.shapes())
    assert obstacle is not None
    assert case.obstacle in obstacle


def test_a_slip_in_one_layer_would_show(tmp_path: Path) -> None:
    deploy = render(Case("mobilenet-v2", "shicai", size(32)), tmp_path / "net")
    layers = random_weights(deploy)
    opened = open_net(Ask(net=str(deploy)))
    nets = []
    for factor in (1.0, 1.01):
        net = Net(opened.graph, opened.shapes(), seed=None)
        net.load(layers)
        with torch.no_grad():
            first = next(layer for layer in net.layers if layer.type == "Scale")
            first.tensors[0][0] *= factor
        nets.append(net)
    right, wrong = (
        FusedExecutor(net, keep=["fc7"]).forward(synthetic_feeds(net, seed=9)).outputs["fc7"] for net in nets
    )
    assert float((right - wrong).abs().max()) > TOLERANCE * float(right.abs().max())
