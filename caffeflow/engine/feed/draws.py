"""Random numbers that depend on the seed, the layer and the record alone.

Caffe draws from one generator, so that its crops depend on the order of work. Here each record of the
stream has its own numbers (SplitMix64, entered at any place): the same batch comes out with one worker or
ten, on one rank or four, and after a restart in the middle.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

_DRAWS_PER_RECORD: Final = 4
_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)


class Draws:
    """The random numbers of one layer.

    Args:
        seed: The run's.
        layer: Its name, so that no two layers draw alike.
    """

    def __init__(self, seed: int, layer: str) -> None:
        digest = blake2b(f"{seed}\0{layer}".encode(), digest_size=8).digest()
        self._base = np.uint64(int.from_bytes(digest, "little"))

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
        mixed = self._base + counters * _GAMMA
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
        return (mixed % np.asarray(limit, np.uint64)).astype(np.int64)

    def generator(self, number: int) -> np.random.Generator:
        """Returns a generator of its own for something larger: the order of an epoch, a whole top."""
        return np.random.Generator(np.random.Philox(key=np.array([self._base, number], np.uint64)))
