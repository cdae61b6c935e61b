"""`caffeflow finetune`: a net with a new classifier, and what the published weights give it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from caffeflow.cli import console, options, template_options, train_report

if TYPE_CHECKING:
    from caffeflow.weights.copying import CopyRow
    from caffeflow.workflows.finetune import FinetuneReport

# Option (as Click names its value) to variable, beside the solver's.
_VARIABLES = {
    "input_size": "net.input_size",
    "backend": "data.backend",
    "batch_size": "data.batch_size",
    "test_batch_size": "data.test_batch_size",
    "accum": "solver.iter_size",
    "scale": "data.scale",
    "stepsize": "solver.stepsize",
    "gamma": "solver.gamma",
}
_OF_REQUEST = (
    "origin", "variant", "weights", "data_dir", "classes", "name", "layers", "freeze", "mean", "out_dir",
)  # fmt: skip
_NOT_WRITTEN = ("force", "as_json", "trains", "engine", "caffe", "device")


@click.command("finetune", epilog="Example: caffeflow finetune --from lenet --classes 5 --name letters")
@click.option(
    "--from", "origin", required=True, metavar="NET|FILE", help="A net, or your train_val or deploy prototxt."
)
@click.option("--variant", metavar="NAME", help="Variant of a net of the catalogue.")
@click.option("--weights", metavar="FILE|NAME", help="A file, or a name of the zoo [default: the net's own].")
@click.option(
    "--data", "data_dir", type=options.FOLDER, help="Dataset folder [default: the only one in data/]."
)
@click.option("--classes", type=click.IntRange(min=2), help="Classes [default: the dataset's].")
@click.option("--name", help="What the classifier is renamed by [default: the dataset's name, else new].")
@click.option(
    "--layer",
    "layers",
    metavar="NAME",
    multiple=True,
    help="The classifier, where it is not plain; repeatable.",
)
@click.option("--lr-new", type=click.FloatRange(min=0), default=10.0, show_default=True,
              help="lr_mult of the new layer; twice of it for its bias.")  # fmt: skip
@click.option("--freeze", metavar="UNTIL_LAYER", help="Nothing up to this layer learns.")
@click.option("--freeze-statistics", is_flag=True, help="Frozen BatchNorms keep their statistics too.")
@click.option("--mean", metavar="MEAN", help="As render's, or pretrained [default: the dataset's].")
@click.option("--scale", metavar="SCALE", help="Factor on the pixels.")
@click.option("--input-size", metavar="SIZE", help="Side of the net's input, or HxW.")
@click.option("--backend", metavar="KIND", help="Kind of data layer: lmdb or imagedata.")
@click.option("--batch-size", metavar="N", help="Training images in a batch.")
@click.option("--test-batch-size", metavar="N", help="Test images in a batch.")
@click.option("--accum", metavar="N", help="Batches whose gradients make one iteration (iter_size).")
@template_options.solver_options
@click.option("--stepsize", metavar="N", help="Iterations between two drops of the rate.")
@click.option("--gamma", metavar="G", help="Factor of such a drop.")
@options.set_values
@click.option("--relative", is_flag=True, help="Write paths relative to this folder, not absolute.")
@options.out("Folder to write [default: models/NET].")
@click.option("--train", "trains", is_flag=True, help="Go straight on and train.")
@click.option("--engine", type=click.Choice(["torch", "caffe"]), help="What trains [default: torch].")
@click.option("--caffe", type=options.ANY_PATH, help="The real caffe, or its tree, for --engine caffe.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to train [default: auto].")
@options.force
@options.json_output
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    assignments: tuple[str, ...],
    gpu: bool | None,
    relative: bool,
    lr_new: float,
    freeze_statistics: bool,
    force: bool,
    as_json: bool,
    trains: bool,
    engine: str | None,
    caffe: Path | None,
    device: str | None,
    **asked: Any,
) -> None:
    """Begin from a trained net: rename its last layer, point it at a dataset, copy all else.

    Writes what render writes, for a net of the catalogue or a prototxt of yours (which stays as it is), and
    says of every layer whether the weights have it.
    """
    from caffeflow.errors import UsageError, WeightsError
    from caffeflow.workflows.finetune import FinetuneRequest, finetune

    if not trains and (engine or caffe or device):
        raise UsageError("--engine, --caffe and --device are for training; give --train too")
    settings = {name: asked.pop(name) for name in list(asked) if name not in _OF_REQUEST}
    request = FinetuneRequest(
        command=template_options.command_line(context, without=_NOT_WRITTEN),
        assignments=template_options.assigned(settings, assignments, variables=_VARIABLES, gpu=gpu),
        is_relative=relative,
        lr_mult=lr_new,
        keep_statistics=freeze_statistics,
        **asked,
    )
    report = finetune(request, force=force)
    for note in report.notes:
        console.note(f"note: {note}")
    trained = None
    if not as_json:
        _print(report, is_last=not trains)
    if trains and not report.problem:
        trained = _train(report, engine=engine, caffe=caffe, device=device, is_silent=as_json)
    if as_json:
        console.json(_as_json(report) | ({"training": trained} if trained is not None else {}))
    if report.problem:
        raise WeightsError(report.problem)


def _train(
    report: FinetuneReport, *, engine: Any, caffe: Path | None, device: str | None, is_silent: bool
) -> dict[str, Any]:
    from caffeflow.workflows.train import train
    from caffeflow.workflows.train_settings import TrainSettings

    settings = TrainSettings(
        solver=report.solver, engine=engine, caffe=caffe, device=device, command=("caffeflow", *sys.argv[1:])
    )
    with train_report.screen() as screen:
        trained = train(settings, screen)
    if not is_silent:
        train_report.tell(trained)
    return train_report.as_json(trained)


def _print(report: FinetuneReport, *, is_last: bool) -> None:
    from collections import Counter

    from caffeflow.report.tables import table

    if report.table is not None:
        counts = Counter(row.state for row in report.table.rows)
        rows = [(row.layer, _shapes(row), row.state) for row in report.table.rows]
        total = ", ".join(f"{count} {state}" for state, count in counts.items())
        footer = (f"{len(rows)} layers", "", total)
        console.result(table(("layer", "blobs", "from the weights"), rows, footer=footer))
    renamed = ", ".join(f"{old} -> {new}" for old, new in report.renamed.items())
    console.result(f"renamed: {renamed}")
    if report.frozen.layers:
        console.result(f"frozen: {', '.join(report.frozen.layers)}")
    console.result(f"wrote {report.out_dir}: {', '.join(path.name for path in report.paths)}")
    if is_last and not report.problem:
        console.result(f"next: caffeflow train --solver {report.solver}")


def _shapes(row: CopyRow) -> str:
    from caffeflow.report.summary import shape_text

    return "  ".join(shape_text(shape) for shape in row.shapes)


def _as_json(report: FinetuneReport) -> dict[str, Any]:
    rows = report.table.rows if report.table else ()
    return {
        "net": report.net,
        "out": str(report.out_dir),
        "files": [str(path) for path in report.paths],
        "solver": str(report.solver),
        "weights": report.start.written or None,
        "renamed": dict(report.renamed),
        "frozen": list(report.frozen.layers),
        "params": report.figures.params,
        "macs": report.figures.macs,
        "layers": [
            {"layer": row.layer, "blobs": [list(shape) for shape in row.shapes], "state": row.state}
            | ({"reason": row.reason} if row.reason else {})
            for row in rows
        ],
        "problem": report.problem or None,
        "notes": list(report.notes),
    }
