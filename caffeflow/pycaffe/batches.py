"""Cutting many inputs into batches of a net's size, and joining what it makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def cut(given: Mapping[str, Sequence[Any] | Array], size: int) -> Iterator[dict[str, Array]]:
    """Yields batches of `size`; the last one is filled up with zeros.

    Args:
        given: Blob name to its items, as many for each blob.
        size: Items a batch.
    """
    arrays = {name: np.asarray(items) for name, items in given.items()}
    count = len(next(iter(arrays.values()), ()))
    for start in range(0, count, size):
        batch = {name: items[start : start + size] for name, items in arrays.items()}
        missing = start + size - count
        yield {name: _filled(items, missing) for name, items in batch.items()} if missing > 0 else batch


def joined(parts: Mapping[str, list[Array]], count: int) -> dict[str, Array]:
    """Returns the first `count` items of each list of batches."""
    return {
        name: np.concatenate([np.atleast_1d(one) for one in made])[:count] for name, made in parts.items()
    }


def _filled(items: Array, missing: int) -> Array:
    return np.concatenate([items, np.zeros((missing, *items.shape[1:]), items.dtype)])
