"""Random numbers that depend on the seed, the layer and the record alone.

Caffe draws from one generator, so that its crops depend on the order of work. Here each record of the
stream has its own numbers (SplitMix64, entered at any place): the same batch comes out with one worker or
ten, on one rank or four, and after a restart in the middle.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Final

import numpy as np
from numpy.typing import NDArray

from caffeflow import splitmix

Indices = NDArray[np.int64]

_DRAWS_PER_RECORD: Final = 4
_OF_RECORDS: Final = 1  # the upper half of the counter of records' generators; that of all others is 0


class Draw(IntEnum):
    """What SSD's transformations draw for a record; each has a number of its own, used or not."""

    ORDER = 0
    BRIGHTNESS_ACTS = auto()
    BRIGHTNESS = auto()
    CONTRAST_ACTS = auto()
    CONTRAST = auto()
    SATURATION_ACTS = auto()
    SATURATION = auto()
    HUE_ACTS = auto()
    HUE = auto()
    CHANNELS_ACT = auto()
    CHANNELS = auto()
    EXPANSION_ACTS = auto()
    EXPANSION = auto()
    EXPANSION_TOP = auto()
    EXPANSION_LEFT = auto()
    SAMPLE = auto()
    INTERPOLATION = auto()
    MIRROR = auto()
    CROP_TOP = auto()
    CROP_LEFT = auto()


class Draws:
    """The random numbers of one layer.

    Args:
        seed: The run's.
        layer: Its name, so that no two layers draw alike.
    """

    def __init__(self, seed: int, layer: str) -> None:
        self._base = splitmix.base_of(seed, layer)
        self._base_of_units = splitmix.base_of(seed, f"{layer}\0units")

    def below(
        self, limit: int | NDArray[np.int64], records: NDArray[np.int64], *, draw: int
    ) -> NDArray[np.int64]:
        """Returns a number in [0, limit) for each record.

        Args:
            limit: One for all, or one a record.
            records: Numbers in the stream, counted on around the end of the data.
            draw: Which of the record's numbers, from 0 to 3.
        """
        counters = records.astype(np.uint64) * np.uint64(_DRAWS_PER_RECORD) + np.uint64(draw + 1)
        mixed = splitmix.numbers(self._base, counters)
        return (mixed % np.asarray(limit, np.uint64)).astype(np.int64)

    def units(self, records: NDArray[np.int64], count: int) -> NDArray[np.float64]:
        """Returns `count` numbers in [0, 1) for each record, (N, count); those of `below` are others."""
        return splitmix.units(self._base_of_units, records, count)

    def generator(self, number: int) -> np.random.Generator:
        """Returns a generator of its own for something larger: the order of an epoch, a whole top."""
        return self._philox(number, kind=0)

    def of_record(self, number: int) -> RecordDraws:
        """Returns the numbers of one record of the stream, as many as it may need."""
        return RecordDraws(self._philox(number, kind=_OF_RECORDS))

    def _philox(self, number: int, *, kind: int) -> np.random.Generator:
        key = np.array([self._base, number], np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=kind << 192))


class RecordDraws:
    """The random numbers of one record: one for each `Draw`, and then a row of any length.

    What is drawn for one purpose does not move the others: with more contrast, crops stay where they were.

    Args:
        generator: The record's own.
    """

    def __init__(self, generator: np.random.Generator) -> None:
        self._units: list[float] = generator.random(len(Draw)).tolist()
        self._generator = generator

    def uniform(self, draw: Draw, low: float, high: float) -> float:
        """Returns a number from `low` to `high` that is one of single precision, as all of Caffe's."""
        number = np.float32(low) + (np.float32(high) - np.float32(low)) * np.float32(self._units[draw])
        return float(number)

    def acts(self, draw: Draw, probability: float) -> bool:
        """Tells whether something of a probability happens."""
        return self._units[draw] < probability

    def below(self, draw: Draw, limit: int) -> int:
        """Returns a whole number in [0, limit)."""
        return int(self._units[draw] * limit)

    def units(self, *shape: int) -> NDArray[np.float32]:
        """Returns numbers in [0, 1); each call goes on where the last one ended."""
        return self._generator.random(shape, np.float32)
