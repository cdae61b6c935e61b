"""`caffeflow summary`."""

from __future__ import annotations

import click

from caffeflow.cli import console, options
from caffeflow.cli.net_options import NetOptions, net_options
from caffeflow.cli.python_layers import allow_python_layers


@click.command("summary", epilog="Example: caffeflow summary lenet")
@click.argument("nets", metavar="NET|FILE...", nargs=-1, required=True)
@net_options(phase="TEST")
@allow_python_layers
@options.json_output
def command(nets: tuple[str, ...], net: NetOptions, as_json: bool) -> None:
    """Show layers, shapes, parameters and multiply-accumulates.

    NET is a name of the catalogue (mobilenet-v2, or mobilenet-v2:paper for a variant), a prototxt file, or a
    folder such as models/lenet. Several nets give one table, a row each.
    """
    from caffeflow.report import summary
    from caffeflow.workflows.summary import summarize_nets

    found = summarize_nets(net.asks(nets))
    if as_json:
        console.json([summary.to_json(one) for one in found])
    elif len(found) == 1:
        console.result(summary.layer_table(found[0]))
        console.result(summary.totals_text(found[0]))
    else:
        console.result(summary.compare_table(found))
