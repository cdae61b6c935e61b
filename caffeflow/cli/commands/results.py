"""`caffeflow results`."""

from __future__ import annotations

from pathlib import Path

import click

from caffeflow.cli import console, options
from caffeflow.errors import UsageError


@click.command("results", epilog="Example: caffeflow results runs")
@click.argument("runs", nargs=-1, type=options.FOLDER)
@options.json_output
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
def command(runs: tuple[Path, ...], as_json: bool, as_csv: bool) -> None:
    """Compare runs: cost of the net, accuracy reached, and what is published for it.

    RUNS are run folders, or folders of such; runs/ by default.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other; give one")
    from caffeflow.report import results
    from caffeflow.workflows.results import gather_results

    lines = gather_results(runs)
    if as_json:
        console.json(results.to_json(lines))
    elif as_csv:
        console.plain(results.to_csv(lines))
    else:
        console.result(results.results_table(lines))
