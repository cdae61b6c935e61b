"""A small SSD trained by the fork itself: its losses, updates and average precisions are ours.

See `test_forced_steps` for the method, and `test_ssd_layers` for where the fork comes from.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caffeflow.cli.main import run
from caffeflow.proto.text import format_message, read_solver
from tests.support.detection_project import DetectionProject
from tests.support.native import NativeCaffe, Report
from tests.support.native_forced import ForcedRun
from tests.support.native_training import Trajectory, train

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("one_thread")]

STEPS = 60
TESTED = (20, 40, 60)


def trained(caffe: NativeCaffe, ap_version: str) -> Trajectory:
    """A run of the fork in the working folder, with a snapshot of every iteration."""
    project = DetectionProject(
        f'max_iter: {STEPS + 1} test_iter: 3 test_interval: 20 eval_type: "detection" ap_version: "{ap_version}"'
    )
    solver = read_solver(project.solver)
    solver.display = solver.snapshot = solver.average_loss = 1
    solver.solver_mode = solver.CPU
    project.solver.write_text(format_message(solver))
    return train(caffe, project.solver, cwd=Path.cwd())


@pytest.mark.parametrize("ap_version", ["11point", "MaxIntegral", "Integral"])
def test_average_precision_is_the_forks(
    ssd_caffe: NativeCaffe, report: Report, capsys: pytest.CaptureFixture[str], ap_version: str
) -> None:
    log = trained(ssd_caffe, ap_version)
    theirs = log.test_outputs["detection_eval"]
    assert len(theirs) == len(TESTED)
    ours = []
    for iteration in TESTED:
        words = ["test", "models/tiny/test.prototxt", "--weights", str(log.weights(iteration))]
        assert run([*words, "--like-caffe", "--json"]) == 0
        (output,) = json.loads(capsys.readouterr().out)["outputs"]
        ours.append(output["value"])
    report(f"mAP of the SSD fork, {ap_version}", " ".join(f"{value:.6g}" for value in ours))
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert max(theirs) > 0.05


def test_forced_steps(ssd_caffe: NativeCaffe, report: Report) -> None:
    steps = list(ForcedRun(ssd_caffe, trained(ssd_caffe, "11point"), bound=1e-4).steps(STEPS))
    assert len(steps) == STEPS
    loss, update = max(step.loss for step in steps), max(step.worst_update for step in steps)
    flipped = [step for step in steps if step.without_help is not None]
    report(
        "forced step: a small SSD of the fork",
        f"{STEPS} steps: loss within {loss:.1e}, updates within {update:.1e}; {len(flipped)} flipped decisions",
    )
    assert loss <= 1e-5
    assert update <= 1e-4
    assert len(flipped) <= 0.25 * STEPS
