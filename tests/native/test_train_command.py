"""`caffeflow train --engine caffe`: the real binary in the same run folder as the embedded engine."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from caffeflow.cli.main import run
from tests.support.native import NativeCaffe
from tests.support.native_nets import make_digits, render

pytestmark = pytest.mark.native


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_digits(tmp_path_factory.mktemp("digits"))


def command(caffe: NativeCaffe, solver: Path, run_dir: Path, *more: str) -> list[str]:
    words = ["train", "--engine", "caffe", "--caffe", str(caffe.tool("caffe")), "--solver", str(solver)]
    return [sys.executable, "-m", "caffeflow", *words, "--out", str(run_dir), *more]


def test_run_folder_of_the_real_caffe(caffe: NativeCaffe, digits: Path, tmp_path: Path) -> None:
    rendered = render("lenet", data=digits, out=tmp_path / "net", solver__display="20")
    words = command(caffe, rendered / "solver.prototxt", tmp_path / "run", "--iterations", "200", "--json")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["iterations"] == 200
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["engine"] == str(caffe.tool("caffe"))
    assert "Optimization Done." in (tmp_path / "run" / "caffe.log").read_text()
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    iterations = {int(row["iteration"]) for row in rows}
    assert {0, 20, 180, 200} <= iterations
    assert (tmp_path / "run" / "curves.png").stat().st_size > 1000


def test_weights_in_a_format_that_caffe_does_not_know(
    caffe: NativeCaffe, digits: Path, tmp_path: Path
) -> None:
    rendered = render("lenet", data=digits, out=tmp_path / "net", solver__display="1")
    solver, losses = rendered / "solver.prototxt", []
    assert run(["weights", "init", "lenet", "--out", str(tmp_path / "w.caffemodel")]) == 0
    assert run(["weights", "convert", str(tmp_path / "w.caffemodel"), "--out", str(tmp_path / "w.npz")]) == 0
    for ending in ("caffemodel", "npz"):
        more = ["--iterations", "2", "--weights", str(tmp_path / f"w.{ending}")]
        words = command(caffe, solver, tmp_path / ending, *more)
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        log = (tmp_path / ending / "caffe.log").read_text()
        assert "Finetuning from" in log
        losses.append(re.findall(r"Iteration [01].* loss = (\S+)", log))
    assert len(losses[0]) == 2
    assert losses[0] == losses[1]


def test_interrupt_snapshots_and_exits_well(caffe: NativeCaffe, digits: Path, tmp_path: Path) -> None:
    rendered = render("lenet", data=digits, out=tmp_path / "net", solver__display="1")
    words = command(caffe, rendered / "solver.prototxt", tmp_path / "run")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "run" / "caffe.log"
    deadline = time.monotonic() + 60
    while not (log.exists() and "Iteration 2 " in log.read_text()):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Optimization stopped early" in log.read_text()
    assert list(tmp_path.rglob("*.solverstate"))


def test_last_words_and_exit_code(caffe: NativeCaffe, digits: Path, tmp_path: Path) -> None:
    rendered = render("lenet", data=digits, out=tmp_path / "net")
    words = command(caffe, rendered / "solver.prototxt", tmp_path / "run", "--gpu", "0")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 7
    last = done.stderr.strip().splitlines()[-1]
    assert "CPU-only" in last
    assert "134" not in last
