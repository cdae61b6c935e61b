"""SSDLite with ReLU6 as `render` writes it, trained by the fork: from each snapshot, one iteration of ours.

The nets have BatchNorm: the published graph in its heads alone, `--bn` everywhere. See `test_forced_steps`
for the method, and `test_ssd_layers` for where the fork comes from.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from caffeflow.cli.main import run
from caffeflow.proto.text import format_message, read_net, read_solver
from tests.support.detection_project import scenes
from tests.support.native import NativeCaffe, Report
from tests.support.native_forced import ForcedRun
from tests.support.native_training import Trajectory, train
from tests.support.voc_scenes import write_voc

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("one_thread")]

STEPS = 20
LOSS_BOUND = 1e-4
MEDIAN_BOUND = 1e-2  # of all blobs and steps: flipped decisions show in some, a wrong gradient in most
RELU6 = 59
NARROW = ("--width", "0.35", "--input-size")


def rendered(*words: str) -> Path:
    """Prepares scenes, renders SSDLite for them without augmentation, and returns its solver."""
    with_boxes = [scene for scene in scenes(40, seed=7, size=(90, 120)) if scene.boxes]
    write_voc(Path("VOC2007"), with_boxes, val=6)
    assert run(["prepare", "voc", "VOC2007", "--name", "shapes"]) == 0
    assert run(["render", "ssdlite-coco", "--activation", "relu6", "--augment", "none", *words]) == 0
    folder = Path("models/ssdlite-coco")
    net = read_net(folder / "train.prototxt").net
    types = [layer.type for layer in net.layer]
    assert (types.count("ReLU6"), types.count("BatchNorm")) == (RELU6, 76 if "--bn" in words else 12)
    return folder / "solver_train.prototxt"


def trained(caffe: NativeCaffe, path: Path) -> Trajectory:
    """A training of the fork that shows and keeps every iteration."""
    solver = read_solver(path)
    for field in ("test_net", "test_iter", "test_interval", "test_initialization", "average_loss"):
        solver.ClearField(field)  # type: ignore[arg-type]
    solver.display = solver.snapshot = 1
    solver.max_iter, solver.random_seed, solver.solver_mode = STEPS + 1, 1, solver.CPU
    path.write_text(format_message(solver))
    return train(caffe, path, cwd=Path.cwd())


@pytest.mark.parametrize(
    "words",
    [
        pytest.param((*NARROW, "160", "--batch-size", "5"), id="narrow"),
        # Of fewer and smaller images, the last maps have so few numbers that BatchNorm makes rounding visible.
        pytest.param(
            (*NARROW, "256", "--batch-size", "8", "--bn"),
            id="narrow, BatchNorm throughout",
            marks=pytest.mark.slow,
        ),
        pytest.param(("--batch-size", "2"), id="300x300 as published", marks=pytest.mark.slow),
    ],
)
def test_losses_of_forced_steps(
    ssd_caffe: NativeCaffe, report: Report, words: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    forced = ForcedRun(ssd_caffe, trained(ssd_caffe, rendered(*words)), bound=float("inf"))
    steps = list(forced.steps(STEPS))
    assert [step.iteration for step in steps] == list(range(1, STEPS + 1))
    loss = max(step.loss for step in steps)
    update = median(median(step.updates.values()) for step in steps)
    name = request.node.callspec.id
    report(
        f"forced step: SSDLite, {name}",
        f"{STEPS} steps: loss within {loss:.1e}; median update {update:.1e}",
    )
    assert loss <= LOSS_BOUND
    assert update <= MEDIAN_BOUND
