"""Options that mean the same in every command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
ANY_PATH = click.Path(path_type=Path)


def out(help_text: str = "Folder to write into.") -> Callable[[F], F]:
    """Adds `--out`, passed as `out_dir`."""
    return click.option("--out", "out_dir", type=FOLDER, help=help_text)


def out_file(help_text: str, *, required: bool = False) -> Callable[[F], F]:
    """Adds `--out`, passed as `out_path`."""
    return click.option("--out", "out_path", type=FILE, required=required, help=help_text)


force = click.option("--force", is_flag=True, help="Replace what is there already.")

json_output = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")

dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")

seed = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of everything random."
)

device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the embedded engine computes; auto takes the GPU if there is one.",
)

precision = click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    default="fp32",
    show_default=True,
    help="Arithmetic of the embedded engine; fp32 gives Caffe's numbers.",
)

set_values = click.option(
    "--set", "assignments", metavar="NAME=VALUE", multiple=True, help="Set a variable; may be repeated."
)
