"""`caffeflow dataset show` and `caffeflow dataset verify`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from caffeflow.cli import console, options
from caffeflow.errors import CheckError


@click.group("dataset", epilog="Example: caffeflow dataset show data/digits")
def command() -> None:
    """Look into datasets, and check them."""


@command.command(epilog="Example: caffeflow dataset show data/digits --sheet digits.png --count 64")
@click.argument("path", metavar="FOLDER|LMDB|LIST", type=options.ANY_PATH)
@click.option(
    "--sheet", type=options.FILE, metavar="PNG", help="Draw records into this file, labels or boxes too."
)
@click.option("--count", type=click.IntRange(min=1), default=64, show_default=True, help="Of the sheet.")
@click.option("--split", help="The split that the sheet shows [default: the first].")
@click.option("--root", type=options.FOLDER, help="Where a bare list's paths start [default: its folder].")
@options.force
@options.json_output
def show(
    path: Path,
    sheet: Path | None,
    count: int,
    split: str | None,
    root: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Show counts, sizes, classes, boxes and settings of a dataset.

    An LMDB folder or a list file of Caffe's own tools is decoded and counted record by record.
    """
    from caffeflow.cli import dataset_report
    from caffeflow.workflows.dataset import SheetSettings, show_dataset

    wanted = None if sheet is None else SheetSettings(path=sheet, count=count, split=split, force=force)
    with _progress() as on_progress:
        shown = show_dataset(path, sheet=wanted, root=root, on_progress=on_progress)
    if as_json:
        console.json(dataset_report.as_json(shown))
    else:
        console.result(dataset_report.render(shown))
    if sheet is not None:
        console.note(f"sheet: {sheet}")


@command.command(epilog="Example: caffeflow dataset verify data/digits")
@click.argument("folder", type=options.ANY_PATH)
@options.json_output
def verify(folder: Path, as_json: bool) -> None:
    """Decode every record, and check keys, labels, sizes, boxes and digest against what was written.

    Ends with 1 if something is wrong.
    """
    from caffeflow.workflows.dataset import verify_dataset

    with _progress() as on_progress:
        verdict = verify_dataset(folder, on_progress)
    if as_json:
        console.json({"records": verdict.records, "problems": list(verdict.problems)})
    else:
        for problem in verdict.problems:
            console.result(problem)
    if verdict.problems:
        raise CheckError(f"{folder}: {len(verdict.problems)} problems; prepare it again with --force")
    if not as_json:
        console.result(f"{folder}: {verdict.records:,} records, all as they were written")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yields what shows a bar for each name in turn."""
    with ExitStack() as stack:
        bars: dict[str, console.ProgressBar] = {}

        def show_progress(name: str, done: int, total: int) -> None:
            if name not in bars:
                stack.close()
                bars[name] = stack.enter_context(console.progress(name, total=total))
            bars[name].update(done)

        yield show_progress
