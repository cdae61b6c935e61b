"""`caffeflow caffe test`: a tree's C++ tests, those of our layers among them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from caffeflow import system
from caffeflow.native.build import BuildFolder, build_folder, compile_targets
from caffeflow.native.gtest import Fixture, GtestLog, filter_option
from caffeflow.native.job import run_job
from caffeflow.native.tree import Tree, open_tree

_TARGET: Final = "test.testbin"
_LOG: Final = "caffeflow-test.log"
# Whatever GTEST_COLOR and GTEST_PRINT_TIME say: the lines are read here.
_READABLE: Final = ("--gtest_color=no", "--gtest_print_time=1")
_GPU_DEVICE: Final = Path("/dev/nvidiactl")


class TestScreen(Protocol):
    """What testing tells while it goes on."""

    def step(self, percent: int, what: str) -> None:
        """A file of the tests is being compiled."""

    def tested(self, done: int, total: int, running: str) -> None:
        """So many tests have ended."""

    def note(self, text: str) -> None:
        """Something that the user should know."""


@dataclass(frozen=True, kw_only=True)
class TestReport:
    """What the tests said.

    Attributes:
        fixtures: Passed and failed, in the order of the run.
        failed: The tests that failed.
        died: Where the program died before its end, the test that it died in and why; else ''.
        planned: How many tests it said it would run.
    """

    tree: Path
    log: Path
    planned: int
    fixtures: Sequence[Fixture]
    failed: Sequence[str]
    died: str
    seconds: float

    @property
    def passed(self) -> int:
        """How many tests passed."""
        return sum(each.passed for each in self.fixtures)

    @property
    def is_good(self) -> bool:
        """Whether all passed, and there were some."""
        return not self.failed and not self.died and self.passed == self.planned > 0


def run_tests(path: Path, screen: TestScreen, *, wanted: str = "*", jobs: int | None = None) -> TestReport:
    """Builds the C++ tests of a built tree and runs them from its root.

    Args:
        path: The tree.
        screen: The user's.
        wanted: A filter of gtest's.
        jobs: How many compilers at once; None: one a core.

    Raises:
        NativeError: The tree is not built, or its tests do not compile.
        StoppedError: The user stopped it.
    """
    tree = open_tree(path)
    folder = build_folder(tree)
    settings = folder.settings()
    compile_targets(tree, folder, jobs=jobs or system.usable_cores(), on_step=screen.step, target=_TARGET)
    with_gpu = settings.mode == "cuda" and _GPU_DEVICE.exists()
    if settings.mode == "cuda" and not with_gpu:
        screen.note("there is no GPU here: the GPU tests are left out")
    return _run(tree, folder, filter_option(wanted, with_gpu=with_gpu), screen)


def _run(tree: Tree, folder: BuildFolder, option: str, screen: TestScreen) -> TestReport:
    started = time.monotonic()
    log = GtestLog()

    def see(line: str) -> None:
        if log.see(line):
            screen.tested(log.done, log.total, log.running)

    log_path = folder.path / _LOG
    log_path.unlink(missing_ok=True)
    code = run_job([folder.test_program, option, *_READABLE], see, log_path=log_path, cwd=tree.root)
    died = ""
    if code != 0 and (log.running or log.done < log.total or not log.total):
        place = f"in {log.running}" if log.running else "between two tests"
        died = f"{place}: {log.last_words.explain(code)}"
    return TestReport(
        tree=tree.root,
        log=log_path,
        planned=log.total,
        fixtures=list(log.fixtures.values()),
        failed=log.failed,
        died=died,
        seconds=time.monotonic() - started,
    )


def to_json(report: TestReport) -> dict[str, Any]:
    """Returns a report for other programs."""
    return {
        "tree": str(report.tree),
        "planned": report.planned,
        "passed": report.passed,
        "failed": list(report.failed),
        "died": report.died or None,
        "seconds": round(report.seconds, 1),
        "fixtures": {each.name: {"passed": each.passed, "failed": each.failed} for each in report.fixtures},
        "log": str(report.log),
    }
