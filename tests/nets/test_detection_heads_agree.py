"""Every detection net of the catalogue, run by the embedded engine and by OpenCV on the same two files.

Compared are all numbers that make the boxes: what the heads predict, their scores, and the priors. Nets are
rendered as users render them, with random weights, calibrated, and random biases and scales.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

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
ALL = ("mbox_loc", "mbox_conf_flatten", "mbox_priorbox")
# The last map is a single cell at 300x300, where OpenCV computes a depthwise convolution wrongly.
LITE_MAPS = ("conv_13/expand", "Conv_1", "layer_19_2_2", "layer_19_2_3", "layer_19_2_4")
LITE = tuple(f"{name}_mbox_{part}_flat" for name in LITE_MAPS for part in ("loc", "conf"))


@dataclass(frozen=True)
class Case:
    """A rendered net, and the layers whose tops are compared."""

    net: str
    layers: tuple[str, ...] = ALL
    settings: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([self.net, *(f"{name}={value}" for name, value in self.settings.items())])


# Halved nine times these leave 2, so that no map has a side of 1.
WIDE = {"input_size": "520x576", "width": "0.35"}
CASES = [
    Case("ssdlite-coco", (*LITE, "mbox_priorbox")),
    Case("ssdlite-voc", ALL, WIDE),
    Case("ssdlite-voc", ALL, {**WIDE, "padding": "caffe", "activation": "relu"}),
    Case("ssdlite-voc", LITE, {"bn": "true", "conf_loss": "softmax", "width": "0.5"}),
    Case("ssdlite-voc", ALL, {**WIDE, "input_size": "517x521", "min_ratio": "11", "max_ratio": "83"}),
    Case("mobilenet-ssd-voc", ALL, {"width": "0.5"}),
    Case("ssd300-voc", ALL, {"classes": "3"}),
    Case("ssd-small"),
    Case("ssd-small", ALL, {"input_size": "96x160", "conf_loss": "logistic", "classes": "3"}),
]


def test_every_detection_net_of_the_catalogue_is_here() -> None:
    known = {name for name in net_names() if find_net(name).task.name == "detection"}
    assert {case.net for case in CASES} == known
    assert (len(known), len(CASES)) == (5, 9)


def render(case: Case, folder: Path) -> Path:
    words = ["render", case.net, "--out", str(folder)]
    for name, value in case.settings.items():
        words += ["--set", f"net.{name}={value}"]
    assert run(words) == 0
    return folder / "deploy.prototxt"


def random_weights(deploy: Path) -> list[LayerArrays]:
    # Statistics of a map of 2x2 need several images, or rounding is what they amplify.
    opened = open_net(Ask(net=str(deploy), batch_size=8))
    shapes = opened.shapes()
    net = Net(opened.graph, shapes, seed=None)
    rng = np.random.default_rng(5)
    layers = initial_arrays(shapes, seed=3, instead_of_zeros=FillerParameter(type="msra"))
    net.load([shaken(layer, rng) for layer in layers])
    calibrate(net, [synthetic_feeds(net, seed=seed) for seed in range(2)])
    return net.arrays()


def shaken(layer: LayerArrays, rng: np.random.Generator) -> LayerArrays:
    """Moves biases from 0 and scales from 1, where a slip would not show."""
    if layer.type in ("BatchNorm", "Normalize"):
        return layer
    arrays = [a if a.ndim > 1 else a + rng.uniform(-0.4, 0.4, a.shape) for a in layer.arrays]
    return replace(layer, arrays=tuple(array.astype(np.float32) for array in arrays))


def marked(case: Case) -> object:
    """VGG16 at full size takes a while."""
    return pytest.param(case, marks=pytest.mark.slow if case.net == "ssd300-voc" else (), id=str(case))


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_heads_scores_and_priors_agree(case: Case, tmp_path: Path) -> None:
    deploy = render(case, tmp_path / "net")
    opened = open_net(Ask(net=str(deploy)))
    layers = random_weights(deploy)
    write_caffemodel(tmp_path / "net.caffemodel", name=case.net, layers=layers)
    if case.layers == ALL:
        assert find_obstacle(opened.shapes()) is None
    net = Net(opened.graph, opened.shapes(), seed=None)
    net.load(layers)
    feeds = synthetic_feeds(net, seed=9)
    ((image,),) = feeds.values()
    ours = FusedExecutor(net, keep=case.layers).forward(feeds).outputs
    for name in case.layers:
        theirs = run_opencv(deploy, tmp_path / "net.caffemodel", inputs={"data": image.numpy()}, layer=name)
        mine = ours[name].numpy()
        assert mine.shape == theirs.shape, name
        assert mine.std() > 0.01, f"{name}: values that are all alike compare as equal"
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=TOLERANCE * np.abs(theirs).max(), err_msg=name)
