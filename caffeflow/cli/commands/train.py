"""`caffeflow train`: from a solver to a run folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from caffeflow.cli import console, options, train_report
from caffeflow.cli.augment_options import take_augmentation, train_augment_options
from caffeflow.cli.python_layers import allow_python_layers
from caffeflow.cli.recipe_options import recipe_options


@click.command(
    "train", epilog="Example: caffeflow train --solver models/lenet/solver.prototxt --iterations 100"
)
@click.option("--solver", type=options.FILE, help="The solver [default: the only one in models/].")
@click.option("--engine", type=click.Choice(["torch", "caffe"]), help="What trains [default: torch].")
@click.option("--caffe", type=options.ANY_PATH, help="The real caffe, or its tree, for --engine caffe.")
@click.option("--weights", metavar="FILE[,FILE]", help="Caffemodels to begin from, matched by layer name.")
@click.option(
    "--snapshot",
    metavar="FILE",
    help="A .solverstate (or .solverstate.h5) to go on from; data start over, as in Caffe.",
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
@train_augment_options
@recipe_options
@allow_python_layers
@options.json_output
def command(
    solver: Path | None, weights: str | None, stages: str | None, as_json: bool, **asked: Any
) -> None:
    """Train a net as its solver says.

    Everything goes into a run folder: log, metrics, curves, and snapshots where the solver names no
    place for them. Ctrl-C snapshots and stops; SIGHUP snapshots and goes on.
    """
    from caffeflow.workflows.train import train
    from caffeflow.workflows.train_settings import TrainSettings, find_solver, find_solver_to_resume

    if solver is None:
        solver = find_solver_to_resume(asked["out_dir"]) if asked["resume"] else find_solver()
    settings = TrainSettings(
        solver=solver,
        weights=_words(weights),
        stages=_words(stages),
        augmentation=take_augmentation(asked),
        command=("caffeflow", *sys.argv[1:]),
        **asked,
    )
    with train_report.screen() as screen:
        report = train(settings, screen)
    if as_json:
        console.json(train_report.as_json(report))
    else:
        train_report.tell(report)


def _words(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(word.strip() for word in text.split(",") if word.strip())
