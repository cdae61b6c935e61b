"""`caffeflow-caffe` as a process: what a pipe sees of it, how it ends by signals, how fast it answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.drop_in_project import SOLVER, write_project

COMMAND = [sys.executable, "-m", "caffeflow.drop_in"]
ENDLESS = SOLVER.replace("max_iter: 10", "max_iter: 1000000").replace("snapshot: 5", "snapshot: 0")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path, solver=ENDLESS)


def start(project: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*COMMAND, *words], cwd=project, env=environment, stderr=subprocess.PIPE, text=True,
        preexec_fn=hear_ctrl_c,
    )  # fmt: skip


def hear_ctrl_c() -> None:
    """Undoes what a shell does to its background jobs, of which these tests may be one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def read_until(process: subprocess.Popen[str], words: str) -> list[str]:
    """Reads from the pipe until a line has some words; fails if it ends before."""
    lines = []
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError("".join(lines))


def test_a_pipe_gets_each_line_at_once_and_ctrl_c_snapshots(project: Path) -> None:
    process = start(project, "train", "--solver", "solver.prototxt")
    read_until(process, "Iteration 4 (")
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    rest = read_until(process, "Optimization stopped early.")
    assert process.wait(timeout=60) == 0
    (caffemodel,) = project.glob("lenet_iter_*.caffemodel")
    assert any(f"Snapshotting to binary proto file {caffemodel.name}" in line for line in rest)
    assert caffemodel.with_suffix(".solverstate").exists()
    process.communicate()


def test_a_test_dies_of_ctrl_c_like_any_program(project: Path) -> None:
    words = ["test", "-model=net.prototxt", "-weights=initial.caffemodel", "-iterations=1000000"]
    process = start(project, *words)
    read_until(process, "Batch 2, ")
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in rest


def test_a_reader_that_goes_ends_a_training(project: Path) -> None:
    process = start(project, "train", "--solver=solver.prototxt")
    read_until(process, "Iteration 2 (")
    assert process.stderr is not None
    process.stderr.close()
    assert process.wait(timeout=60) == -signal.SIGPIPE


@pytest.mark.parametrize("words", [[], ["-help"], ["train", "-nosuch"], ["train"], ["train", "-solver=gone"]])
def test_what_needs_no_net_is_answered_without_torch(words: list[str]) -> None:
    code = f"import sys; from caffeflow.drop_in.command import run; run({words!r}, {{}}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
