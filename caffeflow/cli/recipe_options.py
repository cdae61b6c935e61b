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
        help="Take augmentation, --lr-policy, --warmup and --label-smoothing from a recipe of the net, or "
        "FILE.toml; what is given wins.",
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
        help="Raise the rate evenly over the first N iterations, from 1/N of it to all of it.",
    ),
    click.option(
        "--label-smoothing",
        type=click.FloatRange(min=0, max=1, max_open=True),
        metavar="EPS",
        help="Spread this share of each label over all classes, in SoftmaxWithLoss; 0.1 is usual.",
    ),
)


def recipe_options(command: F) -> F:
    """Adds `recipe`, `lr_policy`, `warmup` and `label_smoothing`; each is None where it is not given."""
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), command)
