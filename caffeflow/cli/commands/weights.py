"""`caffeflow weights show`, `init`, `backbone` and `merge`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from caffeflow.cli import console, options
from caffeflow.cli.net_options import NetOptions, net_options, split_assignments
from caffeflow.cli.weights_commands import files, fold_bn, imports, zoo

if TYPE_CHECKING:
    from caffeflow.weights.arrays import BlobStatistics
    from caffeflow.workflows.backbone import BackboneReport


@click.group("weights", epilog="Example: caffeflow weights init lenet --out lenet.caffemodel")
def command() -> None:
    """Look into files of weights, compare, copy, convert and fold them, and make the first of a net."""


command.add_command(files.diff)
command.add_command(files.copy)
command.add_command(files.convert)
command.add_command(fold_bn.command)
command.add_command(imports.command)
command.add_command(zoo.list_command)
command.add_command(zoo.fetch_command)


@command.command(epilog="Example: caffeflow weights show lenet.caffemodel")
@click.argument("path", metavar="FILE", type=options.FILE)
@click.option("--layer", help="Only this layer.")
@options.json_output
def show(path: Path, layer: str | None, as_json: bool) -> None:
    """Show each learned blob: shape, least, greatest, mean, deviation, zeros, nan, and what it looks like.

    "Looks like" names the filler that values still seem drawn from: layers that no training has touched, or
    that were not copied.
    """
    from caffeflow.workflows.weights import show as statistics

    blobs = statistics(path, layer=layer)
    if as_json:
        console.json([_as_json(blob) for blob in blobs])
        return
    _print_table(blobs)
    bad = [f"{blob.layer} ({blob.blob})" for blob in blobs if blob.nans or blob.infinities]
    if bad:
        console.warning(f"values that are nan or infinite in {', '.join(bad)}")


@command.command(epilog="Example: caffeflow weights init lenet --calibrate --out lenet.caffemodel")
@click.argument("asked", metavar="NET|FILE")
@net_options(phase="TRAIN")
@options.out_file("The caffemodel to write.", required=True)
@options.seed
@click.option(
    "--calibrate",
    is_flag=True,
    help="Scale weights to outputs of order 1, and average BatchNorm's statistics.",
)
@click.option("--data", "data_dir", type=options.FOLDER, help="Dataset to calibrate on, not made-up images.")
@click.option(
    "--batches", type=click.IntRange(min=1), default=4, show_default=True, help="Batches to calibrate on."
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="Items in such a batch."
)
@options.force
def init(
    asked: str,
    net: NetOptions,
    out_path: Path,
    seed: int,
    calibrate: bool,
    data_dir: Path | None,
    batches: int,
    batch_size: int,
    force: bool,
) -> None:
    """Write the weights that a net begins with, as its fillers draw them.

    The numbers drawn are not Caffe's, their distributions are. With --calibrate the net is good for
    comparing engines before anything is trained.
    """
    from caffeflow.workflows.weights import InitRequest, initialize

    (ask,) = net.asks([asked])
    request = InitRequest(
        ask=replace(ask, batch_size=batch_size), out=out_path, seed=seed, is_calibrated=calibrate,
        data_dir=data_dir, batches=batches, force=force,
    )  # fmt: skip
    report = initialize(request)
    if report.without_filler:
        what = "msra was taken" if calibrate else "they are zeros, as in Caffe"
        console.note(f"no weight_filler in {', '.join(report.without_filler)}: {what}")
    for layer in report.rescaled:
        console.note(
            f"{layer.layer}: standard deviation of the output {layer.before:.3g} -> {layer.after:.3g}"
        )
    console.plain(f"{out_path}: {report.values:,} values")


@command.command(epilog="Example: caffeflow weights backbone mobilenet.caffemodel --to mobilenet-ssd-voc")
@click.argument("path", metavar="CLASSIFIER", type=options.FILE)
@click.option(
    "--to", required=True, metavar="NET|FILE|FOLDER", help="The detection net, or where it was rendered to."
)
@options.set_values
@options.out_file("The caffemodel to write; without it, backbone.caffemodel in the net's folder.")
@options.json_output
@options.force
def backbone(
    path: Path, to: str, assignments: tuple[str, ...], out_path: Path | None, as_json: bool, force: bool
) -> None:
    """Turn a classification net's weights into a detection net's backbone.

    The two name their layers differently. Where the detection net has no BatchNorm it is folded into the
    convolution; VGG16's fully connected layers are thinned out to dilated convolutions. Name the folder
    that was rendered, and the weights fit its options.
    """
    from caffeflow.workflows.backbone import BackboneRequest
    from caffeflow.workflows.backbone import backbone as make

    request = BackboneRequest(
        classifier=path, to=to, assignments=split_assignments(assignments), out=out_path, force=force
    )
    report = make(request)
    for note in report.notes:
        console.warning(note)
    if as_json:
        console.json(_backbone_json(report))
        return
    _print_backbone(report)


@command.command(
    epilog="Example: caffeflow weights merge snapshots/net_iter_9.caffemodel --to models/mobilenet-ssd-voc"
)
@click.argument("path", metavar="WEIGHTS", type=options.FILE)
@click.option(
    "--to", required=True, metavar="FILE|FOLDER", type=options.ANY_PATH, help="The deploy net, or its folder."
)
@click.option(
    "--trained", type=options.FILE, help="The prototxt that was trained, if not in the same folder."
)
@options.out_file("The caffemodel to write; without it, WEIGHTS_deploy.caffemodel.")
@options.force
def merge(path: Path, to: Path, trained: Path | None, out_path: Path | None, force: bool) -> None:
    """Merge BatchNorms into convolutions where the deploy net has none.

    What follows a convolution in the net that was trained is multiplied into its weights; all else is
    copied. The deploy net computes what the trained one does in tests.
    """
    from collections import Counter

    from caffeflow.workflows.merge import MergeRequest
    from caffeflow.workflows.merge import merge as make

    out, mapped = make(MergeRequest(weights=path, to=to, trained=trained, out=out_path, force=force))
    counts = Counter(row.how for row in mapped.rows)
    total = ", ".join(f"{count} {how}" for how, count in counts.items())
    console.note(f"{len(mapped.rows)} layers: {total}; unused of the file: {_few(mapped.unused)}")
    console.plain(str(out))


def _backbone_json(report: BackboneReport) -> dict[str, object]:
    mapped = report.mapped
    return {
        "net": report.net, "classifier": report.classifier, "out": str(report.out),
        "layers": [{"layer": row.layer, "from": list(row.sources), "how": row.how} for row in mapped.rows],
        "new": list(mapped.new), "unused": list(mapped.unused), "notes": list(report.notes),
    }  # fmt: skip


def _print_backbone(report: BackboneReport) -> None:
    from collections import Counter

    from caffeflow.report.tables import table

    mapped = report.mapped
    rows = [(row.layer, " + ".join(row.sources), row.how) for row in mapped.rows]
    counts = Counter(row.how for row in mapped.rows)
    total = ", ".join(f"{count} {how}" for how, count in counts.items())
    console.result(table(("layer", "from", "how"), rows, footer=(f"{len(rows)} layers", "", total)))
    console.note(f"new, from their fillers: {_few(mapped.new)}")
    console.note(f"unused of the file: {_few(mapped.unused)}")
    console.plain(str(report.out))


def _few(names: Sequence[str]) -> str:
    """Returns all names if they are few, else how many, and the first and the last one."""
    if len(names) <= 6:
        return ", ".join(names) or "none"
    return f"{len(names)} layers, {names[0]} to {names[-1]} (all: --json)"


def _as_json(blob: BlobStatistics) -> dict[str, object]:
    from dataclasses import asdict

    fields = asdict(blob) | {"shape": list(blob.shape)}
    # JSON has no word for nan; a blob of nothing else has no minimum, maximum, mean or deviation.
    return {name: None if value != value else value for name, value in fields.items()}


def _print_table(blobs: list[BlobStatistics]) -> None:
    from caffeflow.report.summary import shape_text
    from caffeflow.report.tables import table

    columns = ("layer", "blob", "shape", ">min", ">max", ">mean", ">std", ">zeros", ">nan", "looks like")
    rows = [
        (
            blob.layer, f"{blob.type} {blob.blob}", shape_text(blob.shape), f"{blob.minimum:.4g}",
            f"{blob.maximum:.4g}", f"{blob.mean:.4g}", f"{blob.std:.4g}",
            f"{blob.zeros:.1%}" if blob.zeros else "",
            f"{blob.nans + blob.infinities:,}" if blob.nans + blob.infinities else "", blob.looks_like,
        )
        for blob in blobs
    ]  # fmt: skip
    values = sum(blob.count for blob in blobs)
    layers = len({blob.layer for blob in blobs})
    footer = (f"{layers} layers", f"{len(blobs)} blobs", f"{values:,} values", *[""] * 7)
    console.result(table(columns, rows, footer=footer))
