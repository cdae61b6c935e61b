"""How a training shows itself while it runs, and what is said of it at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from caffeflow.cli import console

if TYPE_CHECKING:
    from caffeflow.workflows.train_settings import TrainReport

_REFRESH_S = 0.1


def as_json(report: TrainReport) -> dict[str, Any]:
    """Returns what a training left behind, for JSON."""
    return {
        "run": str(report.run_dir),
        "iterations": report.iterations,
        "finished": report.is_complete,
        "weights": str(report.weights) if report.weights else None,
        "results": dict(report.results),
    }


def tell(report: TrainReport) -> None:
    """Prints what a training left behind."""
    state = "done" if report.is_complete else "stopped early; go on with --resume"
    console.plain(f"run {report.run_dir}: {report.iterations} iterations, {state}")
    for name, score in report.results.items():
        if isinstance(score, dict):
            best = f"best {score['best']:.6g} at iteration {score['best_iteration']}"
            console.plain(f"  {name}: {score['last']:.6g} ({best})")
            if "classes" in score:
                from caffeflow.report.detection_result import class_table

                console.result(class_table(score["classes"]))
    if report.weights:
        console.plain(f"  weights: {report.weights}")


class _Plain:
    """Not a terminal: Caffe's log, as caffe itself would print it."""

    def log(self, line: str) -> None:
        console.line(line)

    def main(self, text: str) -> None:
        """Shows nothing: the log says it already."""

    def note(self, text: str) -> None:
        console.line(text)

    def progress(self, done: int, total: int, note: str) -> None:
        """Shows nothing: the log says it already."""


class _Bar:
    """A terminal: a moving bar and the main lines; the log goes to its file only.

    Small nets do thousands of iterations a second, which no bar should slow down.
    """

    def __init__(self, bar: console.ProgressBar) -> None:
        self._bar = bar
        self._last_s = 0.0

    def log(self, line: str) -> None:
        """Shows nothing."""

    def main(self, text: str) -> None:
        console.note(text)

    def note(self, text: str) -> None:
        console.note(text)

    def progress(self, done: int, total: int, note: str) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s >= _REFRESH_S or done == total:
            self._last_s = now_s
            self._bar.update(done, total=total, note=note)


@contextmanager
def screen() -> Iterator[_Plain | _Bar]:
    """Yields where a training shows itself: a bar on a terminal, else Caffe's log."""
    if not console.is_terminal():
        yield _Plain()
        return
    with console.progress("train", unit="iterations") as bar:
        yield _Bar(bar)
