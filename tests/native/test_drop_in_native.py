"""A shell script written for Caffe's binary, run with it and with the stand-in: only the path changes."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.drop_in_project import SOLVER, listed, write_project
from tests.support.native import NativeCaffe, environment
from tests.workflows.test_drop_in_errors import CASES

pytestmark = pytest.mark.native

CAFFE = "./build/tools/caffe"
SCRIPT = f"""#!/usr/bin/env sh
set -e
mkdir -p log
{CAFFE} train --solver=solver.prototxt --weights initial.caffemodel 2>&1 | tee log/train.log
{CAFFE} train -solver longer.prototxt -snapshot=lenet_iter_10.solverstate -log_dir log 2> log/resume.log
{CAFFE} test -model net.prototxt -weights lenet_iter_16.caffemodel -iterations 3 2> log/test.log
{CAFFE} time --model=net.prototxt --iterations=3 -noalsologtostderr --log_dir=log
cp log/caffe.INFO log/time.log
{CAFFE} device_query 2> log/device_query.log
if {CAFFE} train --solver=gone.prototxt 2> log/gone.log; then exit 3; else echo "ended with $?"; fi
{CAFFE} time -model net.prototxt -iterations=none 2> log/flags.log || echo "ended with $?"
"""
PREFIX = re.compile(r"^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [a-z_]+\.[ch]pp:\d+\] ")
SPEED = re.compile(r" \([^)]*iter/s, [^)]*iters\)")
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")
OF_THE_FEED = ("Restarting data prefetching", "Waiting for data")  # as its threads happen to run
PARSED = {  # what parse_log.py, parse_log.sh and extract_seconds.py look for
    "iteration": re.compile(r"Iteration (\d+)"),
    "train": re.compile(r"Train net output #(\d+): (\S+) = ([\.\deE+-]+)"),
    "test": re.compile(r"Test net output #(\d+): (\S+) = ([\.\deE+-]+)"),
    "rate": re.compile(r"lr = ([-+]?[0-9]*\.?[0-9]+([eE]?[-+]?[0-9]+)?)"),
    "solving": re.compile(r"\] Solving "),
    "loss": re.compile(r", loss = "),
}


@dataclass(frozen=True)
class Run:
    """What a run of the script left behind."""

    folder: Path
    returncode: int
    output: str

    def log(self, name: str) -> list[str]:
        """Returns a log's lines, without those that threads of the feed write when they happen to run."""
        lines = (self.folder / "log" / f"{name}.log").read_text().splitlines()
        return [line for line in lines if not any(words in line for words in OF_THE_FEED)]

    def said(self, name: str, first: str) -> list[str]:
        """Returns what a log says from some words on, without prefixes and speeds."""
        texts = [SPEED.sub("", PREFIX.sub("", line)) for line in self.log(name) if PREFIX.match(line)]
        return texts[next(place for place, text in enumerate(texts) if text.startswith(first)) :]

    def described(self, name: str, end: str) -> list[str]:
        """Returns a log up to some words, without prefixes, but with the lines of messages in text."""
        texts = [PREFIX.sub("", line) for line in self.log(name)]
        return texts[: texts.index(end)]


def run_script(folder: Path, command: str) -> Run:
    write_project(folder)
    (folder / "longer.prototxt").write_text(SOLVER.replace("max_iter: 10", "max_iter: 16"))
    script = folder / "train.sh"
    script.write_text(SCRIPT.replace(CAFFE, command))
    done = subprocess.run(
        ["sh", script.name],
        cwd=folder,
        env=environment(threads=1),
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(folder, done.returncode, done.stdout)


@pytest.fixture(scope="module")
def runs(caffe: NativeCaffe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """The script's run with the real binary, and the one with the stand-in."""
    folder = tmp_path_factory.mktemp("script")
    theirs = run_script(folder / "theirs", str(caffe.tool("caffe")))
    return theirs, run_script(folder / "ours", f"{sys.executable} -m caffeflow.drop_in")


def files_of(folder: Path) -> set[str]:
    """Returns the names of what a run made; of glog's files the level only."""
    logs = {re.sub(r"caffe\..*\.log\.([A-Z]+)\..*", r"glog \1", name) for name in listed(folder / "log")}
    return listed(folder) | logs


def test_script_ends_alike_and_leaves_the_same_files(runs: tuple[Run, Run]) -> None:
    theirs, ours = runs
    assert theirs.returncode == ours.returncode == 0
    ends = [line for line in theirs.output.splitlines() if line.startswith("ended with")]
    assert ends == ["ended with 134", "ended with 1"]
    assert [line for line in ours.output.splitlines() if line.startswith("ended with")] == ends
    assert files_of(ours.folder) == files_of(theirs.folder)
    assert "lenet_iter_16.solverstate" in files_of(ours.folder)
    assert "Iteration 10, loss = " in ours.output  # through tee


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("train", "Solving "),
        ("resume", "Resuming from "),
        ("test", "Running for "),
        ("device_query", "Querying"),
    ],
)
def test_same_lines_with_the_same_numbers(runs: tuple[Run, Run], name: str, first: str) -> None:
    theirs, ours = (run.said(name, first) for run in runs)
    assert [NUMBER.sub("#", line) for line in ours] == [NUMBER.sub("#", line) for line in theirs]
    for mine, expected in zip(ours, theirs, strict=True):
        found = [float(value) for value in NUMBER.findall(mine)]
        assert found == pytest.approx([float(value) for value in NUMBER.findall(expected)], rel=2e-5), mine


def test_same_lines_of_times(runs: tuple[Run, Run]) -> None:
    theirs, ours = (run.said("time", "Performing Forward") for run in runs)
    assert [NUMBER.sub("#", line) for line in ours] == [NUMBER.sub("#", line) for line in theirs]
    assert ours[0] == "Performing Forward"
    assert ours[-1] == "*** Benchmark ends ***"


@pytest.mark.parametrize("name", ["train", "resume"])
def test_log_parsers_find_the_same(runs: tuple[Run, Run], name: str) -> None:
    theirs, ours = (run.log(name) for run in runs)
    for pattern in PARSED.values():
        counts = [sum(bool(pattern.search(line)) for line in lines) for lines in (theirs, ours)]
        assert counts[0] == counts[1] > 0, pattern.pattern
    for words, column in (("Test net output #0", 10), ("Test net output #1", 10), (", lr = ", 8)):
        columns = [[line.split()[column] for line in lines if words in line] for lines in (theirs, ours)]
        assert [float(value) for value in columns[1]] == pytest.approx(
            [float(value) for value in columns[0]], rel=2e-5
        )


def test_nets_are_described_alike(runs: tuple[Run, Run]) -> None:
    """All lines up to the first iteration, Caffe's Split layers and the messages in text among them."""
    before = [run.described("train", "Starting Optimization") for run in runs]
    assert len(before[0]) > 250
    assert any("label_mnist_1_split_0" in line for line in before[0])
    assert before[1] == before[0]


@pytest.mark.parametrize("case", CASES)
def test_exit_codes_where_caffe_aborts(caffe: NativeCaffe, tmp_path: Path, case: str) -> None:
    words, change, _ = CASES[case]
    change(write_project(tmp_path))
    done = subprocess.run(
        [caffe.tool("caffe"), *words],
        cwd=tmp_path, env=environment(threads=1), capture_output=True, text=True, check=False, errors="replace",
    )  # fmt: skip
    assert done.returncode == -6, done.stderr[-2000:]  # SIGABRT, which a shell shows as 134
    assert [line for line in done.stderr.splitlines() if line.startswith("F") and PREFIX.match(line)]
