"""`caffeflow time`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from caffeflow.cli import console, options
from caffeflow.cli.net_options import NetOptions, net_options
from caffeflow.cli.python_layers import allow_python_layers


@click.command("time", epilog="Example: caffeflow time lenet --batch-size 8 --iterations 3")
@click.argument("nets", metavar="NET|FILE...", nargs=-1, required=True)
@net_options(phase="TRAIN")
@click.option("--batch-size", type=click.IntRange(min=1), help="Items at once [default: what the file says].")
@click.option(
    "--iterations", type=click.IntRange(min=1), default=10, show_default=True, help="How many are measured."
)
@options.device
@click.option(
    "--precision",
    type=click.Choice(["fp32", "both"]),
    help="Time float32, or bfloat16 too [default: both on a GPU, fp32 on a CPU].",
)
@click.option("--weights", type=options.FILE, help="Caffemodel to load.")
@click.option("--layers", is_flag=True, help="List each layer too, as does a single NET.")
@allow_python_layers
@options.json_output
def command(
    nets: tuple[str, ...],
    net: NetOptions,
    batch_size: int | None,
    iterations: int,
    device: str,
    precision: str | None,
    weights: Path | None,
    layers: bool,
    as_json: bool,
) -> None:
    """Time nets on this machine: per layer as `caffe time`, and one table over nets.

    Times are medians in milliseconds on made-up images, without reading data. "Layer by layer" runs every
    layer for itself; "fused" is how the embedded engine trains, with BatchNorm, Scale and ReLU in one.
    Use --phase TEST --batch-size 1 for what one image takes.
    """
    from caffeflow.workflows import time as workflow

    request = workflow.TimeRequest(
        asks=[replace(ask, batch_size=batch_size) for ask in net.asks(nets)], iterations=iterations,
        device=device, with_bf16={"fp32": False, "both": True, None: None}[precision], weights=weights,
    )  # fmt: skip
    times = workflow.time_nets(request, on_net=lambda name: console.note(f"timing {name}"))
    if as_json:
        console.json([workflow.to_json(one) for one in times])
        return
    for one in times if layers or len(times) == 1 else ():
        console.result(workflow.layer_table(one))
    console.result(workflow.compare_table(times))
    for one in times:
        if workflow.has_no_backward(one):
            console.note(f"{one.net}: has no loss, so there is no backward pass to time")
