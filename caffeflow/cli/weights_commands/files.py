"""`caffeflow weights diff`, `copy` and `convert`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from caffeflow.cli import console, options
from caffeflow.cli.net_options import NetOptions, net_options
from caffeflow.errors import CheckError, UsageError, WeightsError

if TYPE_CHECKING:
    from caffeflow.proto.matching import Shape
    from caffeflow.weights.compare import LayerDifference
    from caffeflow.weights.copying import CopyTable, State
    from caffeflow.workflows.weights_files import WrittenFile


@click.command("diff", epilog="Example: caffeflow weights diff before.caffemodel after.caffemodel")
@click.argument("path", metavar="FILE", type=options.FILE)
@click.argument("other", metavar="FILE|NET")
@click.option(
    "--tolerance", type=click.FloatRange(min=0), default=0.0, show_default=True,
    help="Largest absolute difference of a value that passes, between two files.",
)  # fmt: skip
@click.option("--all", "show_all", is_flag=True, help="Show equal layers too.")
@net_options(phase="TEST")
@options.json_output
def diff(path: Path, other: str, tolerance: float, show_all: bool, net: NetOptions, as_json: bool) -> None:
    """Compare two files of weights, or a file with a net, layer by layer.

    With a net the table says what copying the file's weights into it would do, by Caffe's rule. The exit
    code is 1 if files differ, or if Caffe would refuse to copy.
    """
    from caffeflow.workflows.weights_files import diff_files, diff_net, is_weights_file

    if not is_weights_file(other):
        (ask,) = net.asks([other])
        copies = diff_net(path, ask)
        _show_copies(copies, as_json=as_json)
        if bad := copies.count("mismatched"):
            raise CheckError(f"{path}: layers that do not fit {other}: {bad}; Caffe would stop at the first")
        if not copies.count("copied"):
            raise CheckError(f"no layer of {path} is in {other}: these are the weights of another net")
        return
    rows = diff_files(path, Path(other), tolerance=tolerance)
    wrong = [row for row in rows if not row.passes]
    if as_json:
        console.json([_difference_json(row) for row in rows])
    else:
        _print_differences(rows if show_all else wrong, rows)
    if wrong:
        raise CheckError(f"{path} and {other} differ in {len(wrong)} of {len(rows)} layers")


@click.command(
    "copy", epilog="Example: caffeflow weights copy a.caffemodel --to lenet --map fc=ip1 --out b.caffemodel"
)
@click.argument("path", metavar="FILE", type=options.FILE)
@click.option("--to", required=True, metavar="NET|FILE", help="The net whose layers are wanted.")
@click.option("--map", "renames", metavar="OLD=NEW", multiple=True, help="Copy a layer under another name.")
@net_options(phase="TEST")
@options.out_file("The file to write; its ending says the format.", required=True)
@options.json_output
@options.force
def copy(
    path: Path,
    to: str,
    renames: tuple[str, ...],
    net: NetOptions,
    out_path: Path,
    as_json: bool,
    force: bool,
) -> None:
    """Write a file with a net's layers from those of another file, by name.

    Layers of the net that the file lacks are not written: they begin from their fillers. If a layer does
    not fit, the table says which, and nothing is written.
    """
    from caffeflow.workflows.weights_files import CopyRequest
    from caffeflow.workflows.weights_files import copy as make

    (ask,) = net.asks([to])
    table, written = make(
        CopyRequest(source=path, ask=ask, out=out_path, renames=_renames(renames), force=force)
    )
    _show_copies(table, as_json=as_json)
    if written is None:
        raise WeightsError(
            f"{path}: layers that do not fit {to}: {table.count('mismatched')}; nothing was written; rename"
            " them, --map OLD=NEW, to leave them out"
        )
    _say(out_path, written, as_json=as_json)


@click.command("convert", epilog="Example: caffeflow weights convert lenet.caffemodel --out lenet.npz")
@click.argument("path", metavar="FILE", type=options.FILE)
@options.out_file("The file to write; its ending says the format.", required=True)
@options.force
def convert(path: Path, out_path: Path, force: bool) -> None:
    """Write weights in another format: .caffemodel, .caffemodel.h5, .npz or .safetensors.

    There and back gives the same layers, bit by bit. Caffemodels of the old formats V0 and V1 become such
    of today.
    """
    from caffeflow.workflows.weights_files import convert as make

    _say(out_path, make(path, out_path, force=force), as_json=False)


def _renames(texts: Sequence[str]) -> dict[str, str]:
    renames = {}
    for text in texts:
        old, equals, new = (word.strip() for word in text.partition("="))
        if not (old and equals and new):
            raise UsageError(f"--map {text}: expected OLD=NEW, such as --map fc8=fc8_birds")
        renames[old] = new
    return renames


def _say(path: Path, written: WrittenFile, *, as_json: bool) -> None:
    for note in written.notes:
        console.warning(note)
    if not as_json:
        console.plain(f"{path}: {written.values:,} values")


def _show_copies(copies: CopyTable, *, as_json: bool) -> None:
    from caffeflow.report.tables import table

    if as_json:
        console.json(
            [
                {"layer": row.layer, "shapes": [list(shape) for shape in row.shapes], "state": row.state,
                 "reason": row.reason or None}
                for row in copies.rows
            ]
        )  # fmt: skip
        return
    words: dict[State, str] = {
        "copied": "copied",
        "new": "new: only in the net",
        "skipped": "skipped: only in the file",
        "mismatched": "does not fit",
    }
    rows = [
        (row.layer, _shapes(row.shapes), words[row.state] + (f": {_short(row.reason)}" if row.reason else ""))
        for row in copies.rows
    ]
    counts = ", ".join(f"{copies.count(state)} {state}" for state in words if copies.count(state))
    console.result(table(("layer", "blobs", ""), rows, footer=(f"{len(rows)} layers", "", counts)))


def _short(reason: str) -> str:
    """Returns what a mismatch is, without the layer's name in front and the advice behind."""
    return reason.partition("': ")[2].partition(";")[0]


def _print_differences(shown: Sequence[LayerDifference], rows: Sequence[LayerDifference]) -> None:
    from collections import Counter

    from caffeflow.report.tables import table

    cells = [
        (row.layer, _shapes(row.first or row.second), row.state + _other(row), _number(row.largest),
         _number(row.relative))
        for row in shown
    ]  # fmt: skip
    counts = ", ".join(f"{count} {state}" for state, count in Counter(str(row.state) for row in rows).items())
    columns = ("layer", "blobs", "", ">largest difference", ">relative (L2)")
    console.result(table(columns, cells, footer=(f"{len(rows)} layers", "", counts, "", "")))


def _other(row: LayerDifference) -> str:
    return f": {_shapes(row.second)} in the second" if row.state == "other shapes" else ""


def _shapes(shapes: Sequence[Shape]) -> str:
    from caffeflow.report.summary import shape_text

    return ", ".join(shape_text(shape) for shape in shapes)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


def _difference_json(row: LayerDifference) -> dict[str, object]:
    return {
        "layer": row.layer,
        "state": row.state,
        "first": [list(shape) for shape in row.first],
        "second": [list(shape) for shape in row.second],
        "largest": None if math.isnan(row.largest) else row.largest,
        "relative": row.relative if math.isfinite(row.relative) else None,
    }
