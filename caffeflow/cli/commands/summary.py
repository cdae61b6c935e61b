"""`caffeflow summary`."""

from __future__ import annotations

import click

from caffeflow.cli import console, options


@click.command(epilog="Example: caffeflow summary mobilenet-v2 resnet50")
@click.argument("nets", metavar="NET|FILE...", nargs=-1, required=True)
@click.option(
    "--phase",
    type=click.Choice(["TRAIN", "TEST"], case_sensitive=False),
    default="TEST",
    show_default=True,
    help="Which layers of the net are there.",
)
@click.option("--record", metavar="CxHxW", help="Shape of a data layer's records, if its source is not here.")
@options.json_output
def command(nets: tuple[str, ...], phase: str, record: str | None, as_json: bool) -> None:
    """Show layers, shapes, parameters and multiply-accumulates.

    NET is a name of the catalogue, a prototxt file, or a folder such as models/lenet. Several nets give one
    table, a row each.
    """
    from caffeflow.report import summary
    from caffeflow.workflows.open_net import shape_of_text
    from caffeflow.workflows.summary import summarize_nets

    found = summarize_nets(
        nets,
        phase="TRAIN" if phase.upper() == "TRAIN" else "TEST",
        record=shape_of_text(record) if record else None,
    )
    if as_json:
        console.json([summary.to_json(net) for net in found])
    elif len(found) == 1:
        console.result(summary.layer_table(found[0]))
        console.result(summary.totals_text(found[0]))
    else:
        console.result(summary.compare_table(found))
