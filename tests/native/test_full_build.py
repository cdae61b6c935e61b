"""From a tree that does not build to a training with what it became, and back: nothing but the commands.

The trees are those that CAFFEFLOW_TREES names, or else Debian's source package; each is copied. `make
test-build` runs this: a tree takes a quarter of an hour on two cores, most of it in compilers.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from caffeflow.cli.main import run
from caffeflow.native.tree import open_tree
from caffeflow.proto.text import read_net
from caffeflow.workflows.run_folder import read_record
from tests.support.detection_project import scenes
from tests.support.native import SOURCE, SOURCE_REASON, Report, named_trees, why_missing
from tests.support.native_pictures import write_digits
from tests.support.trees import contents
from tests.support.voc_scenes import write_voc

pytestmark = pytest.mark.build

ITERATIONS: Final = 50
OURS: Final = ("DepthwiseConvolutionLayerTest", "ConvolutionFactoryTest")


@pytest.fixture(params=named_trees() or [SOURCE], ids=lambda path: path.name)
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the tree."""
    if not request.param.is_dir():
        pytest.skip(why_missing("source package of Debian's Caffe", SOURCE_REASON))
    return Path(shutil.copytree(request.param, tmp_path / "caffe", symlinks=True))


class Commands:
    """Runs `caffeflow` in this process, and sums up the minutes that each command took."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.minutes: dict[str, float] = {}

    def __call__(self, *words: str | Path, as_json: bool = False) -> Any:
        """Runs a command that must end well; returns what it said."""
        started = time.monotonic()
        code = run([*map(str, words), *(["--json"] if as_json else [])])
        said = self._capsys.readouterr()
        assert code == 0, f"{words} ended with {code}:\n{said.err[-3000:]}"
        name = words[0] if words[0] in ("train", "render") else " ".join(map(str, words[:2]))
        self.minutes[str(name)] = self.minutes.get(str(name), 0) + (time.monotonic() - started) / 60
        return json.loads(said.out) if as_json else said.out


def test_a_tree_is_mended_built_tested_trained_with_and_given_back(
    tree: Path, capsys: pytest.CaptureFixture[str], report: Report, request: pytest.FixtureRequest
) -> None:
    pristine = contents(tree)
    has_ssd = open_tree(tree).has_ssd
    caffeflow = Commands(capsys)
    solver = render_ssdlite(caffeflow) if has_ssd else render_lenet(caffeflow)

    caffeflow("caffe", "doctor", tree)
    assert caffeflow("caffe", "patch", tree, as_json=True)["patches"] != []
    assert caffeflow("caffe", "patch", tree, as_json=True) == {"patches": [], "files": []}
    built = caffeflow("caffe", "build", tree, "--cpu", as_json=True)
    tests = caffeflow("caffe", "test", tree, as_json=True)
    check_training(caffeflow, solver, tree)
    report(
        f"built from the source: {request.node.callspec.id}",
        f"{built['layer_types']} layer types; {tests['passed']} C++ tests passed, {len(tests['failed'])} failed; minutes: "
        + ", ".join(f"{words} {minutes:.1f}" for words, minutes in caffeflow.minutes.items()),
    )
    assert tests["passed"] > 1100
    assert set(OURS) <= set(tests["fixtures"])

    caffeflow("caffe", "patch", tree, "--undo")
    shutil.rmtree(tree / "build")
    assert contents(tree) == pristine


def render_ssdlite(caffeflow: Commands) -> Path:
    """Annotated images, and SSDLite with ReLU6 and the published augmentation for them."""
    write_voc(Path("VOC2007"), scenes(40, seed=11, size=(90, 120)), val=8)
    caffeflow("prepare", "voc", "VOC2007", "--name", "shapes")
    small = ("--width", "0.35", "--input-size", "160", "--batch-size", "4", "--base-lr", "0.001")
    caffeflow("render", "ssdlite-voc", "--activation", "relu6", "--max-iter", str(ITERATIONS), *small)
    folder = Path("models/ssdlite-voc")
    types = {layer.type for layer in read_net(folder / "train.prototxt").net.layer}
    assert {"AnnotatedData", "ReLU6", "MultiBoxLoss"} <= types
    return folder / "solver_train.prototxt"


def render_lenet(caffeflow: Commands) -> Path:
    """Pictures of digits, and LeNet for them."""
    write_digits(Path("digits"))
    caffeflow("prepare", "folder", "digits", "--gray", "--val-fraction", "0.2")
    caffeflow("render", "lenet", "--max-iter", str(ITERATIONS), "--display", "10")
    return Path("models/lenet/solver.prototxt")


def check_training(caffeflow: Commands, solver: Path, tree: Path) -> None:
    """Trains with the tree's caffe, named and then remembered."""
    caffeflow("train", "--engine", "caffe", "--caffe", tree)
    (folder,) = Path("runs").iterdir()
    record = read_record(folder)
    assert (record["state"], record["iterations"]) == ("finished", ITERATIONS)
    assert losses(folder)[-1] < losses(folder)[0]
    assert list(solver.parent.glob(f"**/*_iter_{ITERATIONS}.caffemodel"))
    caffeflow("train", "--engine", "caffe", "--solver", solver, "--iterations", "2")
    (second,) = set(Path("runs").iterdir()) - {folder}
    assert read_record(second)["engine"] == str(tree / "build/tools/caffe")


def losses(folder: Path) -> Sequence[float]:
    """The losses in a run's table."""
    names, *rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    found = [row[names.index("loss")] for row in rows]
    return [float(loss) for loss in found if loss]
