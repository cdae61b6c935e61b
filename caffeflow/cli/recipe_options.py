"""Options of a training recipe beside the prototxts, where Caffe's files have no words for them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--recipe",
        metavar="NAME",
        help="Take what is not given of pictures, rate and labels from a recipe, or FILE.toml.",
    ),
    click.option(
        "--lr-policy",
        type=click.Choice(["cosine", "solver"]),
        help="Half a cosine down to 0 at max_iter, or as the solver says [default: solver].",
    ),
    click.option(
        "--warmup",
        type=click.IntRange(min=0),
        metavar="N",
        help="Begin with 1/N of the rate, and have all of it N iterations later.",
    ),
    click.option(
        "--label-smoothing",
        type=click.FloatRange(min=0, max=1, max_open=True),
        metavar="EPS",
        help="Share of each label for all classes together, in SoftmaxWithLoss.",
    ),
)


def recipe_options(command: F) -> F:
    """Adds `recipe`, `lr_policy`, `warmup` and `label_smoothing`; each is None where it is not given."""
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), command)
