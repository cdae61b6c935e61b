"""Where Caffe aborts: a last line of level F with the reason, and the code that a shell shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from caffeflow.drop_in.command import run
from tests.support.drop_in_project import SOLVER, listed, write_project

FATAL = re.compile(r"F\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [a-z_]+\.[ch]pp:\d+\] (.*)")
TRAIN = ["train", "-solver=solver.prototxt"]


def rewrite(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Returns what puts other words into a file."""

    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


def as_it_is(_folder: Path) -> None:
    """Changes nothing."""


def damage(name: str) -> Callable[[Path], None]:
    """Returns what writes something else under a name."""
    return lambda folder: (folder / name).write_bytes(b"no protobuf \xff\xff")  # type: ignore[return-value]


CASES = {
    "no solver given": (["train"], as_it_is, "FLAGS_solver.size() > 0 (0 vs. 0) Need a solver definition to train."),
    "no model to test": (["test"], as_it_is, "Need a model definition to score."),
    "no weights to test": (["test", "-model=net.prototxt"], as_it_is, "Need model weights to score."),
    "no model to time": (["time"], as_it_is, "Need a model definition to time."),
    "unknown action": (["frobnicate"], as_it_is, "Unknown action: frobnicate"),
    "both": ([*TRAIN, "-weights=a", "-snapshot=b"], as_it_is, "Give a snapshot to resume training or weights to finetune"),
    "missing solver": (["train", "-solver=gone.prototxt"], as_it_is, "Check failed: gone.prototxt: no such solver file"),
    "missing net": (TRAIN, rewrite("solver.prototxt", "net.proto", "gone.proto"), "gone.prototxt: no such net file"),
    "bad solver": (TRAIN, rewrite("solver.prototxt", "base_lr", "bose_lr"), "solver.prototxt:2:31: SolverParameter has no field 'bose_lr'"),
    "unknown layer": (TRAIN, rewrite("net.prototxt", '"TanH"', '"TanHH"'), "TanHH"),
    "unknown bottom": (TRAIN, rewrite("net.prototxt", 'bottom: "pool1"', 'bottom: "pool9"'), "pool9"),
    "missing data": (TRAIN, rewrite("net.prototxt", "train_lmdb", "gone_lmdb"), "gone_lmdb"),
    "missing weights": ([*TRAIN, "-weights=gone.caffemodel"], as_it_is, "gone.caffemodel"),
    "empty name": ([*TRAIN, "-weights=initial.caffemodel,"], as_it_is, "a file's name is missing"),
    "bad weights": ([*TRAIN, "-weights=initial.caffemodel"], damage("initial.caffemodel"), "initial.caffemodel"),
    "weights of another shape": ([*TRAIN, "-weights=initial.caffemodel"], rewrite("net.prototxt", "num_output: 11", "num_output: 13"), "ip1"),
    "missing snapshot": ([*TRAIN, "-snapshot=gone.solverstate"], as_it_is, "gone.solverstate"),
    "bad snapshot": ([*TRAIN, "-snapshot=initial.caffemodel"], as_it_is, "initial.caffemodel"),
    "prefix without a folder": (TRAIN, rewrite("solver.prototxt", '"lenet"', '"gone/lenet"'), "Cannot write to snapshot prefix 'gone/lenet'"),
    "unknown effect": ([*TRAIN, "-sigint_effect=foo"], as_it_is, 'Invalid signal effect "foo" was specified'),
    "unknown phase": (["time", "-model=net.prototxt", "-phase=BOTH"], as_it_is, 'phase must be "TRAIN" or "TEST"'),
    "unknown policy": (TRAIN, rewrite("solver.prototxt", '"inv"', '"inw"'), "inw"),
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, one_thread: None) -> Path:
    return write_project(tmp_path)  # the working folder, see conftest


@pytest.mark.parametrize("case", CASES)
def test_one_line_says_why(project: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    words, change, reason = CASES[case]
    change(project)
    before = listed(project)
    assert run(words, {}) == 134
    out, err = capsys.readouterr()
    assert out == ""
    fatal = [found[1] for line in err.splitlines() if (found := FATAL.fullmatch(line))]
    assert len(fatal) == 1
    assert err.rstrip("\n").endswith(fatal[0])
    assert reason in fatal[0]
    assert "Traceback" not in err
    assert listed(project) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")
@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["device_query", "-gpu=all"], "Querying GPUs all"),
        ([*TRAIN, "-gpu=0"], None),
        (["train", "-solver=gpu.prototxt"], None),
        (["time", "-model=net.prototxt", "-gpu", "0"], None),
    ],
)
def test_nothing_that_asks_for_a_gpu_runs_on_the_cpu(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], first: str | None
) -> None:
    (project / "gpu.prototxt").write_text(SOLVER.replace("CPU", "GPU"))
    assert run(words, {}) == 134
    err = capsys.readouterr().err
    assert "Cannot use GPU in CPU-only Caffe: check mode." in err.splitlines()[-1]
    assert first is None or first in err
    assert "Use CPU." not in err


def test_actions_are_listed_for_one_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    run(["tarin"], {})
    lines = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "Available caffe actions:", "\tdevice_query", "\ttest", "\ttime", "\ttrain", "Unknown action: tarin",
    ]  # fmt: skip


def test_a_loss_that_is_no_number_is_told_once_and_gone_on_with(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite("solver.prototxt", "base_lr: 0.01", "base_lr: 1e30")(project)
    assert run(TRAIN, {}) == 0
    lines = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    (told,) = (line for line in lines if "the loss is nan" in line)
    assert "learned blob 'weight' of layer 'conv1'" in told
    assert "Iteration 10, loss = nan" in lines
    assert lines[-1] == "Optimization Done."
    assert "lenet_iter_10.caffemodel" in listed(project)
