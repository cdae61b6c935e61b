"""Options that change training pictures at random, where the prototxt has no words for it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from caffeflow.augmentation import Augmentation

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--augment",
        type=click.Choice(["crop", "inception"]),
        help="Random windows: crop moves the picture, 4 pixels each way at 32; inception changes size and "
        "shape too.",
    ),
    click.option(
        "--rand-scale",
        nargs=2,
        type=float,
        metavar="MIN MAX",
        help="Share of the picture that a window shows, resized [default: all; with inception 0.08 1].",
    ),
    click.option(
        "--color-jitter",
        type=float,
        is_flag=False,
        flag_value=0.4,
        metavar="[F]",
        help="Change brightness, contrast and saturation by up to F; 0.4 if F is left out.",
    ),
)


def augment_options(command: F) -> F:
    """Adds `augment`, `rand_scale` and `color_jitter`; each is None where it is not given."""
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), command)


def take_augmentation(asked: dict[str, Any]) -> Augmentation | None:
    """Takes the values of these options out of a command's, and returns what they ask for."""
    from caffeflow.augmentation import Augmentation

    names = ("augment", "rand_scale", "color_jitter")
    return Augmentation.find(**{name: asked.pop(name) for name in names})
