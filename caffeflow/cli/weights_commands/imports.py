"""`caffeflow weights import`: PyTorch's weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from caffeflow.cli import console, options
from caffeflow.cli.net_options import split_assignments
from caffeflow.errors import UsageError

if TYPE_CHECKING:
    from caffeflow.workflows.weights_import import ImportReport

_SHOWN = 6


@click.command("import", epilog="Example: caffeflow weights import resnet50.pth --render models/resnet50")
@click.argument("path", metavar="FILE", type=options.FILE)
@click.option("--to", metavar="NET[:VARIANT]", help="The net it becomes [default: what its keys tell].")
@options.set_values
@options.out_file("The caffemodel to write; without it, beside FILE.")
@click.option("--render", "render_dir", type=options.FOLDER, help="Render the net too, into this folder.")
@click.option(
    "--data",
    "data_dir",
    type=options.FOLDER,
    help="Dataset to render it for [default: the only one in data/].",
)
@click.option("--map", "renames", metavar="OLD=NEW", multiple=True, help="Rename keys that are or begin OLD.")
@click.option(
    "--rgb-mean", metavar="R,G,B", default="0.485,0.456,0.406", show_default=True,
    help="What was subtracted from pictures of 0 to 1 in PyTorch.",
)  # fmt: skip
@click.option(
    "--rgb-std", metavar="R,G,B", default="0.229,0.224,0.225", show_default=True,
    help="What they were divided by then.",
)  # fmt: skip
@options.json_output
@options.force
def command(
    path: Path,
    to: str | None,
    assignments: tuple[str, ...],
    out_path: Path | None,
    render_dir: Path | None,
    data_dir: Path | None,
    renames: tuple[str, ...],
    rgb_mean: str,
    rgb_std: str,
    as_json: bool,
    force: bool,
) -> None:
    """Turn a PyTorch state_dict (.pth, .pt, .safetensors) into a caffemodel.

    Knows torchvision's vgg16, vgg16_bn, resnet50, mobilenet_v2 and regnet_x nets by their keys. Channels
    become B, G, R and the division by std goes into the first convolution, so the net takes pixels of 0 to
    255 less mean_value and gives torchvision's outputs.
    """
    from caffeflow.weights.importing.normalisation import Normalisation
    from caffeflow.workflows.weights_import import ImportRequest, import_weights

    request = ImportRequest(
        path=path, to=to, assignments=split_assignments(assignments), renames=_renames(renames),
        normalisation=Normalisation(mean=_three("--rgb-mean", rgb_mean), std=_three("--rgb-std", rgb_std)),
        out=out_path, render_dir=render_dir, data_dir=data_dir, force=force,
    )  # fmt: skip
    if data_dir is not None and render_dir is None:
        raise UsageError("--data is for the net that --render writes; give both or neither")
    report = import_weights(request)
    for remark in report.notes:
        console.note(f"note: {remark}")
    if as_json:
        console.json(_as_json(report))
        return
    _print(report)


def _renames(texts: tuple[str, ...]) -> dict[str, str]:
    renames = {}
    for text in texts:
        old, equals, new = (word.strip() for word in text.partition("="))
        if not (old and equals and new):
            raise UsageError(f"--map {text}: expected OLD=NEW, such as --map fc.1=fc")
        renames[old.removesuffix(".")] = new.removesuffix(".")
    return renames


def _three(option: str, text: str) -> tuple[float, float, float]:
    try:
        red, green, blue = (float(word) for word in text.split(","))
    except ValueError:
        raise UsageError(
            f"{option} {text}: expected three numbers for R, G and B, such as 0.5,0.5,0.5"
        ) from None
    if not all(0 <= value < 256 for value in (red, green, blue)) or (
        option == "--rgb-std" and not red * green * blue
    ):
        raise UsageError(f"{option} {text}: expected numbers of pictures of 0 to 1, and no std of 0")
    return red, green, blue


def _as_json(report: ImportReport) -> dict[str, object]:
    imported = report.imported
    return {
        "torch": report.torch_name,
        "net": report.net,
        "out": str(report.out),
        "layers": [{"layer": row.layer, "keys": list(row.keys), "how": row.how} for row in imported.rows],
        "new": list(imported.new),
        "unused": list(imported.unused),
        "num_batches_tracked": imported.counters,
        "mean_values": list(report.mean_values),
        "scale": list(report.scale),
        "color_order": "BGR",
        "input_size": list(report.input_size),
        "render": report.render_command,
        "rendered": [str(path) for path in report.rendered],
        "notes": list(report.notes),
    }


def _print(report: ImportReport) -> None:
    from caffeflow.report.tables import table

    imported = report.imported
    rows = [(row.layer, _grouped(row.keys), row.how) for row in imported.rows]
    console.result(table(("layer", "from", "how"), rows, footer=(f"{len(rows)} layers", "", "")))
    console.note(f"new, from their fillers: {_few(imported.new)}")
    counters = (
        f" (and {imported.counters} num_batches_tracked, which nothing needs)" if imported.counters else ""
    )
    console.note(f"unused keys: {_few(imported.unused)}{counters}")
    height, width = report.input_size
    means = " ".join(f"mean_value: {value:g}" for value in report.mean_values)
    scale = (
        "" if report.scale == (1.0,) else f", then scale {', '.join(f'{each:g}' for each in report.scale)}"
    )
    console.result(
        f"{report.torch_name} -> {report.net}; it takes pixels B, G, R of 0 to 255, less {means}{scale};"
        f" torchvision resizes the shorter side to {round(height * 256 / 224)} and crops the middle"
        f" {height}x{width}"
    )
    if report.rendered:
        console.result(
            f"wrote {report.rendered[0].parent}: {', '.join(path.name for path in report.rendered)}"
        )
    else:
        console.result(f"its net: {report.render_command}")
    console.plain(str(report.out))


def _grouped(keys: tuple[str, ...]) -> str:
    """Returns keys with what they begin with written once: `bn1.{weight, bias}`."""
    ends: dict[str, list[str]] = {}
    for key in keys:
        begin, _, end = key.rpartition(".")
        ends.setdefault(begin, []).append(end)
    return ", ".join(
        f"{begin}.{end[0]}" if len(end) == 1 else f"{begin}.{{{', '.join(end)}}}"
        for begin, end in ends.items()
    )


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "none") + more
