"""Our log of a run has the lines of Caffe's log of the same run, in its order, and its numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caffeflow.cli.main import run
from tests.support.native import NativeCaffe
from tests.support.native_nets import SMOOTH_NET, make_digits
from tests.support.native_ours import write_initial_weights
from tests.support.native_training import write_solver

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("one_thread")]

FIELDS = (
    'base_lr: 0.01 momentum: 0.9 lr_policy: "multistep" gamma: 0.3 stepvalue: 5 stepvalue: 12 clip_gradients: 0.7'
    " display: 4 average_loss: 3 snapshot: 8 max_iter: 16 test_iter: 3 test_interval: 8 test_compute_loss: true"
)
PREFIX = re.compile(r"^[IWEF]\d+ [\d:.]+ +\d+ \S+\] ")
RATE = re.compile(r" \([^)]*iter/s, [^)]*iters\)")
OF_THE_FEED = ("Restarting data prefetching", "Waiting for data")  # as its threads happen to run
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")


@pytest.fixture
def solver(tmp_path: Path) -> Path:
    (tmp_path / "net.prototxt").write_text(SMOOTH_NET.format(dataset=make_digits(tmp_path)))
    solver = write_solver(tmp_path / "solver.prototxt", net=tmp_path / "net.prototxt", fields=FIELDS)
    write_initial_weights(solver, tmp_path / "initial.caffemodel")
    return solver


def log_of(engine: str, solver: Path, caffe: NativeCaffe) -> list[str]:
    """Returns the lines of a run from its beginning on, without their glog prefixes and speeds."""
    run_dir = solver.parent / engine
    words = ["train", "--engine", engine, "--solver", str(solver), "--out", str(run_dir)]
    words += ["--caffe", str(caffe.tool("caffe"))] if engine == "caffe" else ["--device", "cpu"]
    assert run([*words, "--weights", str(solver.with_name("initial.caffemodel"))]) == 0
    lines = (run_dir / "caffe.log").read_text().splitlines()
    texts = [RATE.sub(" (x iter/s)", PREFIX.sub("", line)) for line in lines if PREFIX.match(line)]
    texts = [text for text in texts if not text.startswith(OF_THE_FEED)]
    start = next(number for number, text in enumerate(texts) if text.startswith("Solving "))
    return texts[start:]


def test_same_lines_with_the_same_numbers(caffe: NativeCaffe, solver: Path) -> None:
    theirs, ours = log_of("caffe", solver, caffe), log_of("torch", solver, caffe)
    assert any("Gradient clipping" in line for line in theirs)
    assert any("MultiStep Status" in line for line in theirs)
    assert [NUMBER.sub("#", line) for line in ours] == [NUMBER.sub("#", line) for line in theirs]
    for mine, expected in zip(ours, theirs, strict=True):
        if "iter_" not in expected:  # the names of snapshots hold folders
            found = [float(value) for value in NUMBER.findall(mine)]
            assert found == pytest.approx([float(value) for value in NUMBER.findall(expected)], rel=2e-5), (
                mine
            )
