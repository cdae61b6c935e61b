"""`caffeflow layers`."""

from __future__ import annotations

import click

from caffeflow.cli import console, options


@click.command("layers", epilog="Example: caffeflow layers Convolution")
@click.argument("layer_type", metavar="[TYPE]", required=False)
@options.json_output
def command(layer_type: str | None, as_json: bool) -> None:
    """List the layer types that the embedded engine runs, with limits, and those it refuses, with reasons.

    With a TYPE: all about that one, its settings with their defaults among it.
    """
    from caffeflow.report.layer_facts import layer_entries, layer_entry, to_json
    from caffeflow.report.layer_table import layers_listing, one_layer

    if layer_type:
        entry = layer_entry(layer_type)
        if as_json:
            console.json(to_json(entry))
        else:
            for part in one_layer(entry):
                console.result(part)
        return
    entries = layer_entries()
    if as_json:
        console.json([to_json(entry) for entry in entries])
        return
    for part in layers_listing(entries):
        console.result(part)
