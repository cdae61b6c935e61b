"""The options of `prepare` that several sources have in common, and how their texts are read."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from caffeflow.cli import options
from caffeflow.cli.augment_options import augment_options

F = TypeVar("F", bound=Callable[..., Any])


def _size(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """Returns (height, width) of `HxW` or of one number for both; None for `none`."""
    if text is None or text == "none":
        return None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        message = f"'{text}': expected height x width such as 256x256, one number for both, or none"
        raise click.BadParameter(message, ctx, param)
    return int(sides[0]), int(sides[-1])


def names(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Returns the names of a list with commas; none if it is not given."""
    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise click.BadParameter(f"'{text}': expected names with commas between them", ctx, param)
    return names


_BUILD_OPTIONS = (
    click.option("--out", "out_dir", type=options.FOLDER, help="Dataset folder [default: data/NAME]."),
    click.option("--name", help="Name of the dataset, as its folder below data/ [default: the source's]."),
    click.option(
        "--backend",
        type=click.Choice(["lmdb", "imagedata"]),
        default="lmdb",
        show_default=True,
        help="An LMDB for Data layers, or image files and lists for ImageData layers.",
    ),
    click.option(
        "--encode",
        type=click.Choice(["auto", "raw", "jpg", "png"]),
        default="auto",
        show_default=True,
        help="Form of each record; auto: bare pixels up to 64x64, else JPEG at quality 95.",
    ),
    click.option("--resize", callback=_size, metavar="HxW|N|none", help="Squash every image to this size."),
    click.option(
        "--short-side", type=int, metavar="N", help="Scale the shorter side to N instead, aspect kept."
    ),
    click.option(
        "--min-dim",
        type=int,
        metavar="N",
        help="With boxes: enlarge until the shorter side is N.",
    ),
    click.option(
        "--max-dim",
        type=int,
        metavar="N",
        help="With boxes: shrink until the longer side is N.",
    ),
    click.option("--gray", is_flag=True, help="One channel."),
    click.option("--shuffle/--no-shuffle", default=True, show_default=True, help="Shuffle the train split."),
    options.seed,
    click.option("--limit", type=int, metavar="N", help="N images of each split, spread evenly over it."),
    augment_options,
    click.option(
        "--augment-copies",
        type=int,
        metavar="N",
        help="Write N changed copies of each training image too, for the real caffe, which cannot change "
        "them so itself.",
    ),
    click.option("--workers", type=int, metavar="N", help="Threads that decode [default: one a core]."),
    click.option("--strict", is_flag=True, help="An image that cannot be used is an error, not a reject."),
    click.option("--resume", is_flag=True, help="Go on with a dataset that was stopped."),
    options.force,
    options.dry_run,
    options.json_output,
)


def build_options(command: F) -> F:
    """Adds what all sources have in common: the fields of `BuildSettings`, and where to write."""
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_BUILD_OPTIONS), command)


labelmap = click.option(
    "--labelmap", type=options.FILE, help="A labelmap.prototxt [default: made from the classes that occur]."
)
keep_empty = click.option(
    "--keep-empty/--no-keep-empty",
    default=None,
    help="Images without boxes stay, or go [default: they stay in val].",
)
hold_back = click.option(
    "--val-fraction", type=float, metavar="F", help="Hold this share of the images back as val."
)
