"""`caffeflow train`: from a solver to a run folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from caffeflow.cli import console, options

if TYPE_CHECKING:
    from caffeflow.workflows.train_settings import TrainReport

_REFRESH_S = 0.1


@click.command(
    "train", epilog="Example: caffeflow train --solver models/lenet/solver.prototxt --iterations 100"
)
@click.option("--solver", type=options.FILE, help="The solver [default: the only one in models/].")
@click.option("--engine", type=click.Choice(["torch", "caffe"]), help="What trains [default: torch].")
@click.option("--caffe", type=options.ANY_PATH, help="The real caffe, or its tree, for --engine caffe.")
@click.option("--weights", metavar="FILE[,FILE]", help="Caffemodels to begin from, matched by layer name.")
@click.option(
    "--snapshot", metavar="FILE", help="A .solverstate to go on from; data start over, as in Caffe."
)
@click.option("--resume", is_flag=True, help="Go on with the newest unfinished run as if it never stopped.")
@options.out("The run folder [default: the next runs/NAME-NNN].")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to compute [default: auto]."
)
@click.option("--gpu", metavar="N", help="Number of the GPU; with --engine caffe also 0,1 or all.")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), help="Arithmetic [default: fp32].")
@click.option("--iterations", type=click.IntRange(min=1), help="Total of updates, in place of max_iter.")
@click.option("--seed", type=click.IntRange(min=0), help="In place of the solver's random_seed.")
@click.option("--level", type=int, help="Level for the include and exclude rules of the train net.")
@click.option("--stage", "stages", metavar="S[,S]", help="Stages for those rules.")
@options.json_output
def command(
    solver: Path | None, weights: str | None, stages: str | None, as_json: bool, **asked: Any
) -> None:
    """Train a net as its solver says.

    Everything goes into a run folder: log, metrics, curves, and snapshots where the solver names no
    place for them. Ctrl-C snapshots and stops; SIGHUP snapshots and goes on.
    """
    from caffeflow.workflows.train import train
    from caffeflow.workflows.train_settings import TrainSettings, find_solver

    settings = TrainSettings(
        solver=solver or find_solver(asked["out_dir"] if asked["resume"] else None),
        weights=_words(weights),
        stages=_words(stages),
        command=("caffeflow", *sys.argv[1:]),
        **asked,
    )
    with _screen() as screen:
        report = train(settings, screen)
    if as_json:
        console.json(_as_json(report))
    else:
        _tell(report)


def _words(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(word.strip() for word in text.split(",") if word.strip())


def _as_json(report: TrainReport) -> dict[str, Any]:
    return {
        "run": str(report.run_dir),
        "iterations": report.iterations,
        "finished": report.is_complete,
        "weights": str(report.weights) if report.weights else None,
        "results": dict(report.results),
    }


def _tell(report: TrainReport) -> None:
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
def _screen() -> Iterator[_Plain | _Bar]:
    if not console.is_terminal():
        yield _Plain()
        return
    with console.progress("train", unit="iterations") as bar:
        yield _Bar(bar)
