"""What configurations are drawn with: numbers, shapes, axes and fillers of one seed, and values for bottoms.

The one rule to know: a configuration is a function of its type and its number alone, so a failure comes
back in the next run.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from caffeflow.proto.caffe_pb2 import FillerParameter

Shape = tuple[int, ...]
Values = Callable[[np.random.Generator, Shape], np.ndarray]
"""Draws what a bottom of some shape holds."""

_DIMS: Final = (1, 2, 2, 3, 3, 4, 5, 6, 7)


class Draw:
    """A seeded generator in the words of layer configurations."""

    def __init__(self, name: str) -> None:
        self.random: Final = np.random.default_rng(zlib.crc32(name.encode()))

    def chance(self, share: float = 0.5) -> bool:
        """Returns True in a share of all draws."""
        return bool(self.random.random() < share)

    def integer(self, low: int, high: int) -> int:
        """Returns a whole number from low to high, both included."""
        return int(self.random.integers(low, high + 1))

    def number(self, low: float, high: float) -> float:
        """Returns a number of three digits, which a prototxt writes as it is."""
        return round(float(self.random.uniform(low, high)), 3)

    def one_of(self, *options: Any) -> Any:
        """Returns one of some things."""
        return options[self.integer(0, len(options) - 1)]

    def shape(self, low: int, high: int) -> Shape:
        """Returns a shape of low to high axes."""
        return tuple(self.one_of(*_DIMS) for _ in range(self.integer(low, high)))

    def axis(self, axes: int, low: int = 0) -> int:
        """Returns an axis from low on, counted from the front or from the end."""
        axis = self.integer(low, axes - 1)
        return axis - axes if self.chance() else axis

    def cuts(self, total: int, parts: int) -> list[int]:
        """Returns where a stretch is cut into parts, none of them empty."""
        return sorted(int(cut) for cut in self.random.permutation(total - 1)[: parts - 1] + 1)

    def fill(self, filler: FillerParameter) -> None:
        """Draws a filler of numbers that are not all small."""
        kind = self.one_of("gaussian", "uniform", "xavier", "msra", "positive_unitball", "constant")
        filler.type = kind
        if kind == "gaussian":
            filler.std = self.number(0.1, 1.5)
            filler.mean = self.number(-0.5, 0.5)
        elif kind == "uniform":
            filler.min, filler.max = self.number(-2, 0), self.number(0.1, 2)
        elif kind == "constant":
            filler.value = self.number(0.1, 2)
        elif kind in ("xavier", "msra"):
            filler.variance_norm = self.integer(0, 2)

    def fill_any_shape(self, filler: FillerParameter) -> None:
        """Draws a filler that also takes a blob without axes, or of one."""
        filler.type = "uniform"
        filler.min, filler.max = self.number(-2, 0), self.number(0.1, 2)


def normal(random: np.random.Generator, shape: Shape) -> np.ndarray:
    """Draws normal numbers."""
    return random.standard_normal(shape)


def tied(random: np.random.Generator, shape: Shape) -> np.ndarray:
    """Draws -2 to 2 in halves, so that maxima are shared and bounds are met."""
    return random.integers(-4, 5, shape) / 2


def positive(random: np.random.Generator, shape: Shape) -> np.ndarray:
    """Draws numbers from 0.1 to 2."""
    return random.uniform(0.1, 2, shape)


def bits(random: np.random.Generator, shape: Shape) -> np.ndarray:
    """Draws zeros and ones."""
    return random.integers(0, 2, shape)


def some_bits(random: np.random.Generator, shape: Shape) -> np.ndarray:
    """Draws zeros and ones, at least one of them a one."""
    values = random.integers(0, 2, shape)
    values.flat[random.integers(values.size)] = 1
    return values


def below(count: int) -> Values:
    """Returns what draws numbers of `count` rows or classes."""
    return lambda random, shape: random.integers(0, count, shape)


def below_or(count: int, other: int) -> Values:
    """Returns what draws numbers of classes, and in a third of all places another label."""
    return lambda random, shape: np.where(
        random.random(shape) < 1 / 3, other, random.integers(0, count, shape)
    )


def probabilities(random: np.random.Generator, shape: Shape) -> np.ndarray:
    """Draws positive numbers that add up to one over the second axis."""
    values = random.uniform(0.05, 1, shape)
    return values / values.sum(axis=1, keepdims=True)
