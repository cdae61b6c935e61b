"""`caffeflow-caffe train`: Caffe's files and lines, and no others."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caffeflow.drop_in.command import run
from caffeflow.drop_in.flags import read_flags
from caffeflow.drop_in.glog import Log, Warnings
from caffeflow.drop_in.telling import Telling
from caffeflow.proto.binary import read_caffemodel, read_solverstate
from tests.support.detection_project import DetectionProject
from tests.support.drop_in_project import SOLVER, listed, write_project

PREFIX = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [a-z_]+\.[ch]pp:\d+\] ")
SNAPSHOTS = {f"lenet_iter_{n}.{ending}" for n in (5, 10) for ending in ("caffemodel", "solverstate")}


@pytest.fixture
def project(tmp_path: Path, one_thread: None) -> Path:
    return write_project(tmp_path)  # the working folder, see conftest


def train(capsys: pytest.CaptureFixture[str], *words: str, solver: str = "solver.prototxt") -> list[str]:
    """Trains and returns the lines, without their prefixes."""
    assert run(["train", f"-solver={solver}", *words], {}) == 0
    out, err = capsys.readouterr()
    assert out == ""
    return [PREFIX.sub("", line) for line in err.splitlines() if PREFIX.match(line)]


def test_a_training_leaves_its_snapshots_and_nothing_else(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listed(project)
    lines = train(capsys)
    assert listed(project) - before == SNAPSHOTS
    assert lines[0] == "Use CPU."
    assert lines.count("Network initialization done.") == 2
    start = lines.index("Solver scaffolding done.")
    assert lines[start + 1 : start + 5] == [
        "Starting Optimization", "Solving LeNet", "Learning Rate Policy: inv", "Iteration 0, Testing net (#0)",
    ]  # fmt: skip
    assert lines[-2:] == ["Optimization Done.", "Optimization Done."]
    assert [line for line in lines if re.match(r"Iteration \d+, lr = ", line)][
        -1
    ] == "Iteration 8, lr = 0.009994"
    state = read_solverstate("lenet_iter_10.solverstate")
    assert (state.iteration, state.learned_net) == (10, "lenet_iter_10.caffemodel")


def test_columns_are_where_parse_log_sh_counts_them(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "-solver=solver.prototxt"], {}) == 0
    lines = capfd.readouterr().err.splitlines()
    tests = [line.split() for line in lines if "Test net output #0" in line]
    rates = [line.split() for line in lines if ", lr = " in line]
    assert [fields[8] for fields in tests] == ["accuracy"] * 3
    assert all(0 <= float(fields[10]) <= 1 for fields in tests)
    assert [float(fields[8]) for fields in rates][:2] == [0.01, 0.0099985]
    assert sum("] Solving " in line for line in lines) == 1
    assert sum(", loss = " in line for line in lines) == 6
    assert not any(line == "" for line in lines)


def test_an_old_side_file_goes_with_the_snapshot_it_belonged_to(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "lenet_iter_5.resume.json").write_text("{}")
    train(capsys)
    assert "lenet_iter_5.resume.json" not in listed(project)


def test_weights_are_a_list_and_the_later_ones_count(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "still.prototxt").write_text(SOLVER.replace("max_iter: 10", "max_iter: 0"))
    train(capsys)
    lines = train(capsys, "--weights", "initial.caffemodel, lenet_iter_5.caffemodel", solver="still.prototxt")
    assert [line for line in lines if line.startswith("Finetuning")] == [
        "Finetuning from initial.caffemodel",
        "Finetuning from lenet_iter_5.caffemodel",
    ] * 2  # fmt: skip - once for the train net, once for the test net
    for kept, expected in zip(
        read_caffemodel("lenet_iter_0.caffemodel"), read_caffemodel("lenet_iter_5.caffemodel"), strict=True
    ):
        for array, other in zip(kept.arrays, expected.arrays, strict=True):
            np.testing.assert_array_equal(array, other)


def test_weights_of_the_solver_are_those_without_a_flag(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "tuning.prototxt").write_text(SOLVER + 'weights: "initial.caffemodel"')
    assert "Finetuning from initial.caffemodel" in train(capsys, solver="tuning.prototxt")
    lines = train(capsys, "-snapshot", "lenet_iter_5.solverstate", solver="tuning.prototxt")
    assert not any(line.startswith("Finetuning") for line in lines)


def test_weights_of_another_net_are_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = (project / "net.prototxt").read_text()
    for name in ("conv1", "ip1", "ip2"):
        net = net.replace(f'name: "{name}"', f'name: "other_{name}"')
    (project / "net.prototxt").write_text(net)
    lines = train(capsys, "-weights=initial.caffemodel")
    assert "Ignoring source layer conv1" in lines
    assert any("nothing was copied" in line for line in lines)


def test_a_snapshot_is_gone_on_from(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys)
    lines = train(capsys, "--snapshot=lenet_iter_5.solverstate")
    start = lines.index("Solver scaffolding done.")
    assert lines[start + 1 : start + 3] == [
        "Resuming from lenet_iter_5.solverstate", "SGDSolver: restoring history",
    ]  # fmt: skip
    assert "Iteration 5, Testing net (#0)" in lines
    assert "Iteration 0, Testing net (#0)" not in lines


def test_snapshots_in_hdf5_have_caffes_names_and_lines(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "solver.prototxt").write_text(SOLVER + "snapshot_format: HDF5")
    before = listed(project)
    lines = train(capsys)
    assert listed(project) - before == {f"{name}.h5" for name in SNAPSHOTS}
    assert [line for line in lines if line.startswith("Snapshotting")][:2] == [
        "Snapshotting to HDF5 file lenet_iter_5.caffemodel.h5",
        "Snapshotting solver state to HDF5 file lenet_iter_5.solverstate.h5",
    ]
    lines = train(capsys, "--snapshot=lenet_iter_5.solverstate.h5")
    start = lines.index("Solver scaffolding done.")
    assert lines[start + 1 : start + 3] == [
        "Resuming from lenet_iter_5.solverstate.h5", "Starting Optimization",
    ]  # fmt: skip
    assert "Iteration 5, Testing net (#0)" in lines
    lines = train(capsys, "-weights=lenet_iter_10.caffemodel.h5")
    assert "Finetuning from lenet_iter_10.caffemodel.h5" in lines


def test_without_h5py_nothing_is_begun(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "solver.prototxt").write_text(SOLVER + "snapshot_format: HDF5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    before = listed(project)
    assert run(["train", "-solver=solver.prototxt"], {}) == 134
    err = capsys.readouterr().err
    assert "this needs h5py, which is not installed: pip install 'caffeflow[formats]'" in err
    assert "Traceback" not in err
    assert "Starting Optimization" not in err
    assert listed(project) == before


def test_level_and_stage_choose_layers_of_the_train_net_only(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = """layer { name: "extra" type: "InnerProduct" bottom: "ip2" top: "extra"
      include { min_level: 2 stage: "more" } inner_product_param { num_output: 3 } }
    layer { name: "quiet" type: "Silence" bottom: "extra" include { min_level: 2 stage: "more" } }"""
    with (project / "net.prototxt").open("a") as file:
        file.write(extra)
    assert "Creating Layer extra" not in train(capsys)
    lines = train(capsys, "-level=2", "-stage=less,more")
    assert lines.count("Creating Layer extra") == 1


@pytest.mark.parametrize(
    ("prefix", "made"), [("", "solver_iter_5.caffemodel"), ("kept", "kept/solver_iter_5.caffemodel")]
)
def test_a_prefix_that_is_missing_or_a_folder_takes_the_solvers_name(
    project: Path, capsys: pytest.CaptureFixture[str], prefix: str, made: str
) -> None:
    (project / "kept").mkdir()
    given = f'snapshot_prefix: "{prefix}"' if prefix else ""
    (project / "solver.prototxt").write_text(SOLVER.replace('snapshot_prefix: "lenet"', given))
    lines = train(capsys)
    assert f"Snapshotting to binary proto file {made}" in lines
    assert (project / made).exists()


def send_at(monkeypatch: pytest.MonkeyPatch, sent: dict[int, signal.Signals]) -> None:
    """Sends this process signals when so many updates are done."""
    tell: Callable[[Telling, int], None] = Telling.iterated

    def iterated(self: Telling, done: int) -> None:
        tell(self, done)
        if done in sent:
            os.kill(os.getpid(), sent[done])

    monkeypatch.setattr(Telling, "iterated", iterated)


def made_at(project: Path) -> set[int]:
    return {int(path.stem.split("_")[-1]) for path in project.glob("*.solverstate")}


@pytest.mark.parametrize(
    ("words", "sent", "snapshots", "stops"),
    [
        ([], {3: signal.SIGINT}, {3}, True),
        ([], {3: signal.SIGHUP}, {3, 5, 10}, False),
        (["-sigint_effect=snapshot"], {3: signal.SIGINT}, {3, 5, 10}, False),
        (["-sighup_effect=stop"], {7: signal.SIGHUP}, {5, 7}, True),
        (["-sigint_effect", "none", "-sighup_effect", "none"],
         {3: signal.SIGINT, 7: signal.SIGHUP}, {5, 10}, False),
        ([], {3: signal.SIGHUP, 7: signal.SIGINT}, {3, 5, 7}, True),
    ],
)  # fmt: skip
def test_signals_have_the_effects_that_are_asked_for(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    sent: dict[int, signal.Signals],
    snapshots: set[int],
    stops: bool,
) -> None:
    send_at(monkeypatch, sent)
    before = signal.getsignal(signal.SIGINT)
    lines = train(capsys, *words)
    assert made_at(project) == snapshots
    assert ("Optimization stopped early." in lines) is stops
    # Caffe says so after an early stop, too.
    assert lines[-1] == "Optimization Done."
    assert signal.getsignal(signal.SIGINT) is before


def test_a_stop_writes_nothing_where_the_solver_wants_no_snapshot_after_training(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "solver.prototxt").write_text(SOLVER + "snapshot_after_train: false")
    send_at(monkeypatch, {7: signal.SIGINT})
    lines = train(capsys)
    assert "Optimization stopped early." in lines
    assert made_at(project) == {5}


def test_log_files_are_written_where_they_are_asked_for(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "log").mkdir()
    assert run(["train", "-solver=solver.prototxt", "-v=2"], {"GLOG_log_dir": "log"}) == 0
    err = capsys.readouterr().err
    files = sorted(path.name for path in (project / "log").iterdir() if not path.is_symlink())
    assert [re.sub(r"caffe\..*\.log\.([A-Z]+)\.\d{8}-\d{6}\.\d+", r"\1", name) for name in files] == [
        "INFO", "WARNING",
    ]  # fmt: skip
    text = (project / "log" / "caffe.INFO").read_text()
    head, _, body = text.partition("Log line format:")
    assert head.startswith("Log file created at: 20")
    assert body.partition("\n")[2] == err
    assert "-v has no effect here" in (project / "log" / "caffe.WARNING").read_text()


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["-minloglevel=2"], 0), (["-noalsologtostderr"], 0), (["-log_prefix=false"], 1), ([], 1)],
)
def test_less_is_logged_if_less_is_asked_for(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: int
) -> None:
    assert run(["train", "-solver=solver.prototxt", *words], {}) == 0
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.endswith("Learning Rate Policy: inv") for line in lines) == expected
    assert any(PREFIX.match(line) for line in lines) is (words == [])


def test_a_log_folder_that_is_not_there_does_not_stop_a_training(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert any("log_dir 'nowhere': cannot be written" in line for line in train(capsys, "-log_dir=nowhere"))
    assert listed(project) >= SNAPSHOTS


def test_boxes_are_tested_as_the_forks_solver_tests_them(capsys: pytest.CaptureFixture[str]) -> None:
    DetectionProject('max_iter: 4 test_iter: 3 test_interval: 4 eval_type: "detection" ap_version: "11point"')
    lines = train(capsys, solver="models/tiny/solver.prototxt")
    assert any(re.fullmatch(r"    Test net output #0: detection_eval = [\d.e-]+", line) for line in lines)
    assert listed(Path("models/tiny")) == {
        "train.prototxt", "test.prototxt", "deploy.prototxt", "solver.prototxt", "tiny_iter_4.caffemodel",
        "tiny_iter_4.solverstate",
    }  # fmt: skip


def test_what_caffeflow_warns_of_is_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.makeLogRecord({"levelno": logging.WARNING, "msg": "an odd %s", "args": ("thing",)})
    Warnings(Log(read_flags([], {}))).handle(record)
    err = capsys.readouterr().err
    assert err.startswith("W")
    assert PREFIX.sub("", err) == "an odd thing\n"
