"""Options that change training pictures at random, where the prototxt has no words for it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from caffeflow.augmentation import Augmentation

F = TypeVar("F", bound=Callable[..., Any])

_WINDOWS = (
    "Random windows of training pictures: crop moves them, 4 pixels each way at 32; inception changes size"
    " and shape too"
)
_AUGMENT = click.option("--augment", type=click.Choice(["crop", "inception"]), help=f"{_WINDOWS}.")
_AUGMENT_OR_NONE = click.option(
    "--augment",
    type=click.Choice(["crop", "inception", "none"]),
    help=f"{_WINDOWS}; none: nothing of a recipe's windows and colours, only what is given.",
)
_OTHERS = (
    click.option(
        "--rand-scale",
        nargs=2,
        type=float,
        metavar="MIN MAX",
        help="Least and largest share of the picture's area that a window shows, resized [default: all; "
        "with inception 0.08 1].",
    ),
    click.option(
        "--color-jitter",
        type=float,
        is_flag=False,
        flag_value=0.4,
        metavar="[F]",
        help="Multiply brightness, contrast and saturation by 1-F to 1+F each; F is 0.4 if left out.",
    ),
)


def augment_options(command: F) -> F:
    """Adds `augment`, `rand_scale` and `color_jitter`; each is None where it is not given."""
    return _add(command, _AUGMENT)


def train_augment_options(command: F) -> F:
    """Adds the same to a command that has recipes, where `augment` may also be `none`."""
    return _add(command, _AUGMENT_OR_NONE)


def _add(command: F, augment: Callable[[Any], Any]) -> F:
    options: tuple[Callable[[Any], Any], ...] = (augment, *_OTHERS)
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def take_augmentation(asked: dict[str, Any]) -> Augmentation | None:
    """Takes the values of these options out of a command's, and returns what they ask for."""
    from caffeflow.augmentation import Augmentation

    names = ("augment", "rand_scale", "color_jitter")
    return Augmentation.find(**{name: asked.pop(name) for name in names})
