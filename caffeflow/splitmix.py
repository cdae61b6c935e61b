"""Random numbers by counting: SplitMix64, entered at any place.

A number depends on the seed, the name of what draws, and a counter alone, so that it does not matter who
works, in which order, or where a stopped run goes on.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
_FRACTION_BITS: Final = 53  # of a double


def base_of(seed: int, name: str) -> np.uint64:
    """Returns where the numbers of one name begin; no two names draw alike."""
    digest = blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def numbers(base: np.uint64, counters: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns a number of 64 bits for each counter."""
    mixed = base + counters * _GAMMA
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def units(base: np.uint64, records: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Returns `count` numbers in [0, 1) for each record, (N, count)."""
    counters = records[:, None] * count + np.arange(1, count + 1)
    drawn = numbers(base, counters.astype(np.uint64)) >> np.uint64(64 - _FRACTION_BITS)
    return drawn.astype(np.float64) / (1 << _FRACTION_BITS)
