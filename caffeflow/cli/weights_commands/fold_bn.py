"""`caffeflow weights fold-bn`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from caffeflow.cli import console, options
from caffeflow.cli.net_options import split_assignments

if TYPE_CHECKING:
    from caffeflow.weights.folding import FoldRow
    from caffeflow.workflows.fold_bn import FoldReport


@click.command(
    "fold-bn", epilog="Example: caffeflow weights fold-bn mobilenet-v2 mobilenet.caffemodel --out folded"
)
@click.argument("net", metavar="NET|FILE")
@click.argument("weights", metavar="WEIGHTS", type=options.FILE)
@click.option(
    "--out", "out", required=True, metavar="PREFIX|FOLDER/",
    help="What both files' names begin with, or the folder to write them into.",
)  # fmt: skip
@click.option(
    "--data",
    "data_dir",
    type=options.ANY_PATH,
    help="Dataset or LMDB of which both nets see a batch [default: the net's own, if it is there].",
)
@click.option("--record", metavar="CxHxW", help="Shape of a data layer's records, if its source is not here.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Items in a batch [default: the net's].")
@options.set_values
@options.json_output
@options.force
def command(
    net: str,
    weights: Path,
    out: str,
    data_dir: Path | None,
    record: str | None,
    batch_size: int | None,
    assignments: tuple[str, ...],
    as_json: bool,
    force: bool,
) -> None:
    """Fold BatchNorm, Scale and Bias layers into the weighted layers next to them.

    Into Convolution, Deconvolution, InnerProduct and depthwise layers, before or after. Then both nets run
    on made-up and, where there is some, real input; nothing is written if an output differs by more than
    1e-4 of its largest value. The folded net is for testing and deployment: it cannot be trained further.
    """
    from caffeflow.workflows.fold_bn import FoldRequest, fold_bn
    from caffeflow.workflows.open_net import Ask, shape_of_text

    ask = Ask(net=net, assignments=split_assignments(assignments), batch_size=batch_size)
    if record:
        ask = replace(ask, record=shape_of_text(record))
    report = fold_bn(FoldRequest(ask=ask, weights=weights, out=out, data=data_dir, force=force))
    if as_json:
        console.json(_as_json(report))
        return
    _print(report)


def _as_json(report: FoldReport) -> dict[str, object]:
    worst = report.worst
    return {
        "prototxt": str(report.prototxt),
        "caffemodel": str(report.caffemodel),
        "layers": [
            {"layer": row.layer, "type": row.type, "into": row.into or None, "side": row.side,
             "stays": row.reason}
            for row in report.rows
        ],
        "ran_on": list(report.ran_on),
        "worst": {"blob": worst.blob, "relative": worst.relative, "largest": worst.largest},
    }  # fmt: skip


def _print(report: FoldReport) -> None:
    from caffeflow.report.tables import table

    gone = sum(bool(row.into) for row in report.rows)
    rows = [(row.layer, row.type, _what(row)) for row in report.rows]
    footer = (f"{len(rows)} layers", "", f"{gone} folded, {len(rows) - gone} stay")
    console.result(table(("layer", "type", ""), rows, footer=footer))
    console.result(
        f"on {' and '.join(report.ran_on)}: worst difference {report.worst.relative:.2g} of the largest value"
        f" ({report.worst.blob})"
    )
    for path in (report.prototxt, report.caffemodel):
        console.plain(str(path))


def _what(row: FoldRow) -> str:
    if not row.into:
        return f"stays: {row.reason}"
    return f"-> {row.into}" + (", which follows it" if row.side == "before" else "")
