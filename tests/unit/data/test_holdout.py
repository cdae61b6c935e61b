"""Holding images back as split val."""

from __future__ import annotations

import pytest

from caffeflow.data.holdout import check_fraction, hold_back
from caffeflow.errors import DataError, UsageError

NAMES = [f"{number}.jpg" for number in range(23)]


def test_the_share_is_drawn_by_the_seed() -> None:
    first, again, other = (hold_back(NAMES, 0.3, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == len(other) == 7
    assert first < set(NAMES)


@pytest.mark.parametrize(("fraction", "count"), [(0.001, 1), (0.999, 22), (0.5, 12)])
def test_no_split_is_empty(fraction: float, count: int) -> None:
    assert len(hold_back(NAMES, fraction, seed=0)) == count


def test_nonsense_is_refused() -> None:
    for fraction in (0.0, 1.0, -0.1, 2.0, float("nan")):
        with pytest.raises(UsageError, match="--val-fraction"):
            check_fraction(fraction)
    check_fraction(None)
    with pytest.raises(DataError, match="there are 1 images"):
        hold_back(["a.jpg"], 0.5, seed=0)
