"""Every net of the catalogue in the real Caffe: it reads, builds and runs what `render` writes, as we do.

At full size the shapes of all blobs are compared; at small inputs the scores before the Softmax, from the
same caffemodel, within 1e-4 of the largest; and the training net runs forward and backward.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.nets import with_dummy_data
from caffeflow.cli.main import run
from caffeflow.engine.net import Net
from caffeflow.engine.synthetic import synthetic_feeds
from caffeflow.engine.training import FusedExecutor
from caffeflow.proto.binary import read_caffemodel
from caffeflow.proto.text import read_net
from caffeflow.render.catalog import find_net, net_names
from caffeflow.workflows.open_net import Ask, OpenedNet, open_net
from tests.support.native import NativeCaffe, Report

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("one_thread")]

TOLERANCE = 1e-4  # of the largest score
DRIVER = Path(__file__).resolve().parents[1] / "support" / "native_net_driver.py"


@dataclass(frozen=True)
class Case:
    """A net to render; `small` makes it quick to run."""

    net: str
    variant: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    small: int | None = None
    recipe: str = ""

    def __str__(self) -> str:
        words = [self.net, self.variant, *(f"{name}={value}" for name, value in self.settings.items())]
        words += [f"by recipe {self.recipe}"] if self.recipe else []
        return " ".join(word for word in words if word)


CASES = [
    Case("lenet"),
    Case("cifar10-quick"),
    Case("caffenet", small=67),
    Case("vgg16", small=32),
    Case("mobilenet-v1", small=64),
    Case("mobilenet-v1", "", {"activation": "clip", "width": "0.25"}, small=96),
    Case("mobilenet-v2", "shicai", small=64),
    Case("mobilenet-v2", "shicai", {"activation": "clip"}, small=32),
    Case("mobilenet-v2", "paper", small=96),
    Case("resnet50", "he", small=64),
    Case("resnet50", "he", {"width": "0.5"}, small=64),
    Case("resnet50", "torchvision", small=64),
    Case("resnet50", "torchvision", {"pool": "floor"}, small=96),
    Case("resnet50", "torchvision", {"pool": "slice"}, small=96),
    Case("regnetx-400mf", "400mf", small=64),
    Case("regnetx-800mf", "800mf", small=64),
    Case("regnetx-1.6gf", "1.6gf", small=64),
    Case("regnetx-3.2gf", "3.2gf", small=64),
    # With CIFAR's strides and stems.
    Case("mobilenet-v1", recipe="cifar10"),
    Case("mobilenet-v2", "paper", recipe="cifar100"),
    Case("resnet50", "torchvision", recipe="cifar10"),
    Case("regnetx-800mf", "800mf", recipe="cifar10"),
]


def test_every_net_and_variant_of_the_catalogue_is_here() -> None:
    classifiers = [name for name in net_names() if find_net(name).task.name == "classification"]
    known = {(name, variant) for name in classifiers for variant in find_net(name).variants or [""]}
    assert {(case.net, case.variant) for case in CASES} == known


def render(case: Case, folder: Path, settings: Mapping[str, str]) -> Path:
    words = ["render", case.net, "--out", str(folder)]
    words += ["--variant", case.variant] if case.variant else []
    words += ["--recipe", case.recipe] if case.recipe else []
    for name, value in settings.items():
        words += ["--set", f"net.{name}={value}"]
    assert run(words) == 0
    return folder


def ask(caffe: NativeCaffe, folder: Path, **order: Any) -> dict[str, Any]:
    """Returns the facts that Caffe finds about one net."""
    whole = {"name": "answer", "phase": "TEST", "blobs": [], "forward": False, "backward": False, **order}
    texts = {name: str(value) if isinstance(value, Path) else value for name, value in whole.items()}
    (folder / "orders.json").write_text(json.dumps([texts]))
    caffe.run("python", DRIVER, folder)
    facts: dict[str, Any] = json.loads((folder / "answer.json").read_text())
    return facts


def assert_same_shapes(opened: OpenedNet, facts: dict[str, Any]) -> None:
    shapes = opened.shapes()
    blobs = {value.blob: list(shape) for value, shape in shapes.tops.items()}
    assert {name: facts["blobs"][name] for name in blobs} == blobs
    made_by_caffe = {name for name in facts["blobs"] if "_split_" not in name}
    assert made_by_caffe == set(blobs)
    learned = {
        layer.name: [list(blob.shape) for blob in layer.blobs] for layer in shapes.layers if layer.blobs
    }
    assert facts["params"] == learned


@pytest.mark.parametrize("case", CASES, ids=str)
def test_shapes_at_full_size(case: Case, caffe: NativeCaffe, tmp_path: Path) -> None:
    folder = render(case, tmp_path / "net", case.settings)
    deploy, solver = folder / "deploy.prototxt", folder / "solver.prototxt"
    facts = ask(caffe, tmp_path, prototxt=deploy, solver=solver)
    assert_same_shapes(open_net(Ask(net=str(deploy))), facts)


def small(case: Case) -> dict[str, str]:
    return {**case.settings, **({"input_size": str(case.small)} if case.small else {})}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_scores_from_the_same_weights(case: Case, caffe: NativeCaffe, tmp_path: Path, report: Report) -> None:
    deploy = render(case, tmp_path / "net", small(case)) / "deploy.prototxt"
    weights = tmp_path / "random.caffemodel"
    assert run(["weights", "init", str(deploy), "--calibrate", "--out", str(weights)]) == 0
    opened = open_net(Ask(net=str(deploy)))
    net = Net(opened.graph, opened.shapes(), seed=None)
    net.load(read_caffemodel(weights))
    feeds = synthetic_feeds(net, seed=9)
    inputs = {layer.facts.node.layer.top[0]: feeds[layer.name][0].numpy() for layer in net.fed}
    np.savez(tmp_path / "inputs.npz", **inputs)
    softmax = opened.graph.nodes[-1].layer
    assert softmax.type == "Softmax"
    scores = softmax.bottom[0]
    facts = ask(
        caffe, tmp_path, prototxt=deploy, weights=weights, inputs=tmp_path / "inputs.npz",
        blobs=[scores], forward=True,
    )  # fmt: skip
    assert_same_shapes(opened, facts)
    theirs = np.load(tmp_path / "answer.out.npz")[scores]
    ours = FusedExecutor(net, keep=[scores]).forward(feeds).outputs[scores].numpy()
    assert ours.shape == theirs.shape
    assert ours.std() > 0.2, "weights that were not calibrated would compare as equal by chance"
    difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    report(f"scores: {case}", f"within {difference:.1e} of the largest")
    assert difference <= TOLERANCE


@pytest.mark.parametrize("case", CASES, ids=str)
def test_training_net_runs_forward_and_backward(case: Case, caffe: NativeCaffe, tmp_path: Path) -> None:
    folder = render(case, tmp_path / "net", small(case))
    net = read_net(folder / "train_val.prototxt").net
    opened = open_net(Ask(net=str(folder / "deploy.prototxt")))
    record = tuple(opened.shapes().layers[0].tops[0][1:])
    train = tmp_path / "train.prototxt"
    train.write_text(with_dummy_data(net, batch_size=2, record=record))
    facts = ask(caffe, tmp_path, prototxt=train, phase="TRAIN", forward=True, backward=True)
    assert 0 < facts["loss"] < 100
    assert facts["moved"]
