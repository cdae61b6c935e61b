"""Nets in double precision for a while, so that two of them can be compared without their rounding.

A deep net with random weights multiplies a difference by some percent a layer: two orders of the same sums
are 1e-4 apart at its end. The one rule to know: float32 values are exact in float64, so the nets are
afterwards what they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from caffeflow.engine.net import Net
from caffeflow.engine.training import Feeds


@contextmanager
def double_precision(*nets: Net) -> Iterator[None]:
    """Lets nets compute in float64 inside the body."""
    modules = [layer.module for net in nets for layer in net.layers]
    for module in modules:
        module.double()
    try:
        yield
    finally:
        for module in modules:
            module.float()


def in_double(feeds: Feeds) -> Feeds:
    """Returns a batch in float64."""
    return {name: tuple(top.double() for top in tops) for name, tops in feeds.items()}
