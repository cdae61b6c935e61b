"""Holding back a share of the images as split val, by a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

from caffeflow.errors import DataError, UsageError


def check_fraction(fraction: float | None) -> None:
    """Refuses a share that leaves one of the splits empty."""
    if fraction is not None and not 0 < fraction < 1:
        raise UsageError(f"--val-fraction {fraction:g}: expected a number between 0 and 1, such as 0.1")


def hold_back(names: Sequence[str], fraction: float, *, seed: int) -> frozenset[str]:
    """Returns the names that go to val: at least one, and never all.

    Raises:
        DataError: There are fewer than two.
    """
    check_fraction(fraction)
    if len(names) < 2:
        raise DataError(f"--val-fraction {fraction:g}: there are {len(names)} images; expected at least two")
    count = min(max(round(len(names) * fraction), 1), len(names) - 1)
    return frozenset(random.Random(seed).sample(names, count))  # noqa: S311 - a split, not a secret
