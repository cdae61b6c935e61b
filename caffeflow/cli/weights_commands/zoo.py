"""`caffeflow weights list` and `weights fetch`: published models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from caffeflow.cli import console, options

if TYPE_CHECKING:
    from caffeflow.workflows.zoo_list import Listed


@click.command("list", epilog="Example: caffeflow weights list")
@options.json_output
def list_command(as_json: bool) -> None:
    """List the published models that are known, and which of them are here.

    A model fits the net beside it by layer names. Files are looked for in $CAFFEFLOW_ZOO, the working
    folder, models/ and the cache folder.
    """
    from caffeflow.workflows.zoo_list import list_models

    listed = list_models()
    if as_json:
        console.json([_as_json(each) for each in listed])
        return
    _print_table(listed)


@click.command("fetch", epilog="Example: caffeflow weights fetch mobilenet-v2 --out zoo")
@click.argument("what", metavar="NAME|README")
@options.out("Folder for the file [default: $CAFFEFLOW_ZOO, else the cache folder; of a README: its own].")
@options.json_output
@click.option("--force", is_flag=True, help="Put another file of the name aside, as FILE.old.")
def fetch_command(what: str, out_dir: Path | None, as_json: bool, force: bool) -> None:
    """Fetch a published model: by its name, its net's, or a Model Zoo readme.md (or its folder).

    The addresses are tried in order until one gives the file with the published checksum. A download that
    was stopped goes on with the same command; a wrong file is kept aside as FILE.wrong and never used.
    """
    from caffeflow.cli.prepare_watch import watcher
    from caffeflow.workflows.zoo_fetch import FetchRequest, fetch

    with watcher() as watch:
        report = fetch(
            FetchRequest(what=what, out_dir=out_dir, force=force), tell=watch.tell, on_note=watch.on_note
        )
    if as_json:
        console.json(
            {
                "name": report.model.name, "path": str(report.path), "fetched": not report.was_here,
                "checked": report.checked, "net": report.model.net, "licence": report.model.licence,
            }
        )  # fmt: skip
        return
    console.note(f"{report.model.title}: {'was here' if report.was_here else 'fetched'}; {report.checked}")
    if report.model.licence:
        console.note(f"licence: {report.model.licence}")
    console.plain(str(report.path))


def _print_table(listed: list[Listed]) -> None:
    from caffeflow.report.tables import table

    columns = ("name", "net", "file", ">MB", "accuracy", "here")
    rows = [
        (
            each.model.name, each.model.net, each.model.file,
            f"{each.model.size / 1e6:.1f}" if each.model.size else "",
            str(each.model.accuracy or ""), "" if each.path is None else f"{each.path}: {each.state}",
        )
        for each in listed
    ]  # fmt: skip
    here = sum(each.path is not None for each in listed)
    footer = (f"{len(rows)} models", "", "", "", "", f"{here} here")
    console.result(table(columns, rows, footer=footer))
    console.note("get one: caffeflow weights fetch NAME; addresses, checksums and sources: --json")


def _as_json(each: Listed) -> dict[str, object]:
    from dataclasses import asdict

    here = None if each.path is None else {"path": str(each.path), "state": each.state}
    return asdict(each.model) | {"here": here}
