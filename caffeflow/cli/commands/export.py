"""`caffeflow export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from caffeflow.cli import console, options
from caffeflow.cli.net_options import split_assignments

if TYPE_CHECKING:
    from caffeflow.workflows.export import ExportReport


@click.command(
    "export", epilog="Example: caffeflow export lenet --weights lenet.caffemodel --onnx lenet.onnx --check"
)
@click.argument("asked", metavar="NET|FILE|FOLDER")
@click.option("--weights", help="File of weights, or a zoo name.  [default: a bundle's own]")
@click.option("--onnx", "onnx_path", type=options.FILE, required=True, help="The ONNX file to write.")
@click.option(
    "--opset", type=click.IntRange(min=11, max=21), default=13, show_default=True,
    help="Version of ONNX's operators; compilers of vision chips take 11 to 13.",
)  # fmt: skip
@click.option("--dynamic-batch", is_flag=True, help="Leave the batch size open; else it is the net's.")
@click.option("--check", is_flag=True, help="Run it with onnxruntime, and compare with the embedded engine.")
@options.set_values
@options.force
@options.json_output
def command(
    asked: str, weights: str | None, onnx_path: Path, opset: int, dynamic_batch: bool, check: bool,
    assignments: tuple[str, ...], force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write a deploy net with its weights as ONNX.

    Values are called as the net's blobs. A mean and a scale of pixels are not in the graph. Of a detector,
    DetectionOutput is cut off; its priors and settings are written beside, as NAME.priors.npz and
    NAME.detection.json.
    """
    from caffeflow.workflows.export import ExportRequest, export
    from caffeflow.workflows.open_net import Ask

    request = ExportRequest(
        ask=Ask(net=asked, assignments=split_assignments(assignments)), weights=weights, onnx=onnx_path,
        opset=opset, dynamic_batch=dynamic_batch, is_checked=check, force=force,
    )  # fmt: skip
    report = export(request)
    if as_json:
        console.json(_as_json(report))
    else:
        _print_report(report)


def _print_report(report: ExportReport) -> None:
    from caffeflow.report.tables import table

    values = [("input", name, _shape(shape)) for name, shape in report.inputs.items()]
    values += [("output", name, _shape(shape)) for name, shape in report.outputs.items()]
    console.result(table(("", "name", "shape"), values))
    nodes = sum(report.operators.values())
    listed = ", ".join(f"{op} {count}" for op, count in report.operators.items())
    console.result(f"opset {report.opset}, {nodes} nodes, {report.size:,} bytes: {listed}")
    for difference in report.differences:
        console.result(f"{difference.blob}: onnxruntime differs by {difference.relative:.1e} of the largest")
    if report.cut:
        console.note(f"layer '{report.cut}' is cut off; its priors and settings lie beside the file")
    if report.unused:
        console.note(f"unused of the weights: {', '.join(report.unused)}")
    for path in report.files:
        console.plain(str(path))


def _shape(dims: tuple[int, ...]) -> str:
    return " x ".join("batch" if size < 0 else str(size) for size in dims) or "scalar"


def _as_json(report: ExportReport) -> dict[str, object]:
    return {
        "net": report.net, "files": [str(path) for path in report.files], "size": report.size,
        "opset": report.opset, "inputs": {name: list(shape) for name, shape in report.inputs.items()},
        "outputs": {name: list(shape) for name, shape in report.outputs.items()},
        "operators": dict(report.operators), "cut": report.cut or None, "unused": list(report.unused),
        "differences": {each.blob: each.relative for each in report.differences},
    }  # fmt: skip
