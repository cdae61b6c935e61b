"""A run that was stopped or killed goes on and ends in the same bytes as one that was not."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from caffeflow.errors import CheckError, DataError, NetError, UsageError, WeightsError
from caffeflow.workflows.run_folder import read_record
from tests.support.solved import Apart, Solved
from tests.support.training_project import FIELDS, Project, runs

LAST = "snapshots/tiny_iter_30"


def final_bytes(run: Path) -> tuple[bytes, bytes]:
    return tuple((run / f"{LAST}.{kind}").read_bytes() for kind in ("caffemodel", "solverstate"))


def figures(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as lines:
        return [
            {name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(lines)
        ]


def stop_at(project: Project, iteration: int) -> None:
    """Lets the screen press Ctrl-C when an iteration is done."""

    def progress(done: int, total: int, note: str) -> None:
        if done == iteration:
            signal.raise_signal(signal.SIGINT)

    project.screen.progress = progress


@pytest.fixture
def unbroken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run folder of an unbroken run in a project of its own."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "part").mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    run = Project().train().run_dir.resolve()
    monkeypatch.chdir(tmp_path / "part")
    return run


def test_ctrl_c_snapshots_and_the_run_goes_on_exactly(unbroken: Path) -> None:
    project = Project()
    stop_at(project, 13)
    first = project.train()
    assert (first.iterations, first.is_complete) == (13, False)
    assert read_record(first.run_dir)["state"] == "stopped"
    second = project.train(resume=True)
    assert (second.run_dir, second.iterations, second.is_complete) == (first.run_dir, 30, True)
    assert runs() == ["tiny-001"]
    assert final_bytes(second.run_dir) == final_bytes(unbroken)
    assert figures(second.run_dir) == figures(unbroken)
    record = read_record(second.run_dir)
    assert record["state"] == "finished"
    assert len(record["resumed"]) == 1
    assert record["results"] == read_record(unbroken)["results"]
    assert not (second.run_dir / "run.lock").exists()


def test_stopping_again_and_again_changes_nothing(unbroken: Path) -> None:
    project = Project()
    for iteration in (1, 6, 7, 24):  # 6: right before a test
        stop_at(project, iteration)
        project.train(resume=iteration > 1)
    project.screen.progress = lambda *_: None
    assert final_bytes(project.train(resume=True).run_dir) == final_bytes(unbroken)


def killed(when: Callable[[], bool], *more: str) -> None:
    """Trains in a process of its own and kills it as soon as `when` says so."""
    command = [sys.executable, "-m", "caffeflow", "train", "--solver", str(Project.solver), *more]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not when():
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(
    "seen", ["tiny_iter_5.caffemodel", "tiny_iter_10.resume.json", "tiny_iter_20.solverstate"]
)
def test_a_killed_run_goes_on_from_its_last_complete_snapshot(unbroken: Path, seen: str) -> None:
    project = Project()
    killed(lambda: Path(f"runs/tiny-001/snapshots/{seen}").exists())
    assert read_record(Path("runs/tiny-001"))["state"] == "running"
    report = project.train(resume=True)
    assert final_bytes(report.run_dir) == final_bytes(unbroken)
    assert figures(report.run_dir) == figures(unbroken)


@pytest.mark.slow
@pytest.mark.parametrize(
    "seen", ["tiny_iter_5.caffemodel.h5", "tiny_iter_10.resume.h5.json", "tiny_iter_20.solverstate.h5"]
)
def test_a_killed_run_goes_on_from_its_last_complete_hdf5_snapshot(unbroken: Path, seen: str) -> None:
    project = Project(FIELDS + " snapshot_format: HDF5")
    killed(lambda: Path(f"runs/tiny-001/snapshots/{seen}").exists())
    report = project.train(resume=True)
    assert report.weights == Path(f"runs/tiny-001/{LAST}.caffemodel.h5")
    assert Solved.read(report.weights, report.run_dir / f"{LAST}.solverstate.h5").apart_from(
        Solved.read(unbroken / f"{LAST}.caffemodel", unbroken / f"{LAST}.solverstate")
    ) == Apart(weights=0, history=0)
    assert figures(report.run_dir) == figures(unbroken)


@pytest.mark.slow
def test_a_run_killed_before_its_first_snapshot_starts_over_as_it_began(unbroken: Path) -> None:
    project = Project(FIELDS.replace("snapshot: 5", "snapshot: 30").replace("max_iter: 30", "max_iter: 9999"))
    solver = project.solver.read_text().replace("random_seed: 7", "")
    project.solver.write_text(solver)
    killed(lambda: Path("runs/tiny-001/run.json").exists(), "--seed", "7", "--iterations", "30")
    assert not list(Path("runs/tiny-001/snapshots").glob("*.solverstate"))
    report = project.train(resume=True)  # remembers seed and iterations
    assert any("no complete snapshot yet" in note for note in project.screen.notes)
    assert final_bytes(report.run_dir)[0] == final_bytes(unbroken)[0]


@pytest.mark.slow
def test_ctrl_c_on_the_command_line_ends_well() -> None:
    Project(FIELDS.replace("max_iter: 30", "max_iter: 99999"))
    command = [sys.executable, "-m", "caffeflow", "train", "--json"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "Iteration 8 " in line:
                process.send_signal(signal.SIGINT)
                break
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    report = json.loads(out)
    assert report["finished"] is False
    assert Path(report["weights"]).name == f"tiny_iter_{report['iterations']}.caffemodel"


def test_nothing_to_go_on_with() -> None:
    project = Project("max_iter: 2")
    with pytest.raises(UsageError, match=r"no run of 'models/tiny/solver.prototxt' under runs/"):
        project.train(resume=True)
    with pytest.raises(DataError, match=r"elsewhere/run.json"):
        project.train(resume=True, out_dir=Path("elsewhere"))
    assert not Path("elsewhere").exists()
    project.train()
    with pytest.raises(UsageError, match=r"runs/tiny-001, has done all its 2 iterations.*--snapshot"):
        project.train(resume=True)


def test_what_is_wrong_on_resume_leaves_the_run_as_it_was() -> None:
    project = Project("max_iter: 9")
    stop_at(project, 3)
    run = project.train().run_dir
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    project.solver.write_text(project.solver.read_text() + ' type: "Adamax"')
    with pytest.raises(NetError, match="Adamax"):
        project.train(resume=True)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_snapshots_that_are_gone_are_missed() -> None:
    project = Project("max_iter: 9 snapshot: 2")
    stop_at(project, 5)
    run = project.train().run_dir
    shutil.rmtree(run / "snapshots")
    with pytest.raises(WeightsError, match=r"snapshots/tiny_iter_5.solverstate' is gone"):
        project.train(resume=True)


def test_a_foreign_record_among_the_runs_is_passed_over() -> None:
    project = Project("max_iter: 9")
    stop_at(project, 3)
    project.train()
    Path("runs/other").mkdir()
    Path("runs/other/run.json").write_text('{"format": 77}')
    assert project.train(resume=True).run_dir == Path("runs/tiny-001")


def test_snapshots_of_other_runs_at_the_same_prefix_are_not_taken() -> None:
    fields = 'max_iter: 9 snapshot: 2 snapshot_prefix: "snapshots/net"'
    project = Project(fields)
    project.train()
    stop_at(project, 3)
    second = project.train(seed=8)
    assert second.iterations == 3
    project.screen.progress = lambda *_: None
    project.train(resume=True)
    assert any("tiny-002: going on at iteration 3" in note for note in project.screen.notes)


def test_more_iterations_may_be_asked_for_on_resume() -> None:
    project = Project("max_iter: 9 snapshot: 2")
    stop_at(project, 3)
    project.train()
    project.screen.progress = lambda *_: None
    assert project.train(resume=True, iterations=5).iterations == 5


def test_a_failed_run_can_be_resumed_with_another_rate() -> None:
    project = Project("max_iter: 40 snapshot: 30")
    good = project.solver.read_text()
    project.solver.write_text(good.replace("base_lr: 0.01", "base_lr: 1e18"))
    with pytest.raises(CheckError, match="no snapshot was written before"):
        project.train()
    assert read_record(Path("runs/tiny-001"))["state"] == "failed"
    project.solver.write_text(good.replace("max_iter: 40", "max_iter: 3"))
    report = project.train(resume=True)
    assert (report.run_dir, report.is_complete) == (Path("runs/tiny-001"), True)
    assert "error" not in read_record(report.run_dir)
