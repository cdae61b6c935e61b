"""`caffeflow classify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from caffeflow.cli import console, options
from caffeflow.cli.python_layers import allow_python_layers

if TYPE_CHECKING:
    from caffeflow.workflows.classify import Classified


@click.command("classify", epilog="Example: caffeflow classify digits-bundle photos/ --top 3 --out pictures/")
@click.argument("bundle", type=options.ANY_PATH)
@click.argument("paths", metavar="IMAGE|FOLDER...", nargs=-1, required=True, type=options.ANY_PATH)
@click.option(
    "--top", type=click.IntRange(min=1), default=5, show_default=True, help="Classes told of each picture."
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="Images at once."
)
@options.out("Folder for the pictures with their classes written below.")
@options.force
@options.device
@options.precision
@allow_python_layers
@options.json_output
def command(
    bundle: Path, paths: tuple[Path, ...], top: int, batch_size: int, out_dir: Path | None, force: bool,
    device: str, precision: Literal["fp32", "bf16"], as_json: bool,
) -> None:  # fmt: skip
    """Say what is in images: the likeliest classes of each, by the net of a bundle.

    BUNDLE is a folder that deploy has written. Images may be files, and folders, which are searched to the
    bottom; they are brought to the net exactly as in the tests of its training.
    """
    from caffeflow.workflows.classify import ClassifySettings, classify

    settings = ClassifySettings(
        bundle=bundle, paths=paths, top=top, batch_size=batch_size, out_dir=out_dir, force=force,
        device=device, precision=precision,
    )  # fmt: skip
    seen = []
    with console.progress("classifying", unit="images") as bar:
        for classified in classify(
            settings, note=console.note, on_progress=lambda done, total: bar.update(done, total=total)
        ):
            seen.append(classified)
            if not as_json:
                _print(classified)
    if as_json:
        console.json([classified.as_json() for classified in seen])
    elif out_dir is not None:
        console.note(f"{len(seen)} pictures in {out_dir}")


def _print(classified: Classified) -> None:
    """Prints a line for each class of a picture."""
    for guess in classified.guesses:
        console.plain(f"{classified.path}: {guess.score:.4f} {guess.name}")
