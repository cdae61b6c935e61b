"""`caffeflow draw`."""

from __future__ import annotations

from pathlib import Path

import click

from caffeflow.cli import console, options
from caffeflow.cli.net_options import NetOptions, net_options


@click.command("draw", epilog="Example: caffeflow draw lenet --out lenet.svg")
@click.argument("asked", metavar="NET|FILE")
@net_options(phase="TEST")
@options.out_file("The picture, .svg or .png; png needs matplotlib.", required=True)
@options.force
def command(asked: str, net: NetOptions, out_path: Path, force: bool) -> None:
    """Draw a net's graph.

    Layers that follow a convolution in line (BatchNorm, Scale, ReLU) share its box; a long net is drawn in
    several columns, read from left to right.
    """
    from caffeflow.workflows.draw import draw

    (ask,) = net.asks([asked])
    draw(ask, out_path, force=force)
    console.plain(str(out_path))
