"""`caffeflow layers`."""

from __future__ import annotations

import click

from caffeflow.cli import console, options


@click.command("layers", epilog="Example: caffeflow layers --json")
@options.json_output
def command(as_json: bool) -> None:
    """List the layer types that the embedded engine runs, with limits, and those it refuses, with reasons."""
    from caffeflow.report.layer_table import layer_entries, layers_table, to_json

    if as_json:
        console.json([to_json(entry) for entry in layer_entries()])
        return
    for runs in (True, False):
        console.result(layers_table(runs=runs))
