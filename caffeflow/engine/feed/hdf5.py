"""Batches of an HDF5Data layer: rows of listed files, one file in memory at a time.

Each time round all files come once, and with `shuffle` in another order, as do the rows in each; an order
depends on the seed, the layer and how often the data have come round, so that any place can be gone back to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from caffeflow.data.readers.hdf5 import Floats, Hdf5Files
from caffeflow.engine.feed.batches import Batch, BatchSettings
from caffeflow.engine.feed.draws import Draws, Indices


@dataclass(frozen=True)
class _Visit:
    """One file's turn: the rows of the stream from `begin` to `end` are its rows in this order."""

    file: int
    begin: int
    end: int
    order: Indices


class Hdf5Batches:
    """Plans the batches of a layer.

    Args:
        files: What it reads.
        settings: How the stream is cut.
        shuffle: Files and rows come in another order each time round.
        draws: The layer's random numbers.
    """

    def __init__(self, files: Hdf5Files, settings: BatchSettings, draws: Draws, *, shuffle: bool) -> None:
        self._files = files
        self._settings = settings
        self._draws = draws
        self._shuffle = shuffle
        self._loaded: tuple[int, list[Floats]] | None = None

    def batches(self, start: int) -> Iterator[Batch]:
        """Yields batches without end, from row `start` of the stream on."""
        size, world = self._settings.batch_size, self._settings.world
        own = self._settings.rank + world * np.arange(size)
        while True:
            tops = tuple(torch.from_numpy(array) for array in self._take(start + own))
            start += world * size
            if self._settings.pin:
                tops = tuple(top.pin_memory() for top in tops)
            yield Batch(parts=(), tops=partial(tuple, tops), end=start)

    def close(self) -> None:
        """Lets the file in memory go."""
        self._loaded = None

    def _take(self, numbers: Indices) -> list[Floats]:
        """Returns the rows of the stream with these numbers, which ascend, of each dataset."""
        parts = []
        while numbers.size:
            visit = self._visit(int(numbers[0]))
            is_inside = numbers < visit.end
            rows = visit.order[numbers[is_inside] - visit.begin]
            parts.append([array[rows] for array in self._load(visit.file)])
            numbers = numbers[~is_inside]
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    def _visit(self, number: int) -> _Visit:
        count = len(self._files.rows)
        epoch, place = divmod(number, sum(self._files.rows))
        files = self._order(epoch * (count + 1), count)
        ends = np.cumsum(np.array(self._files.rows)[files])
        turn = int(np.searchsorted(ends, place, side="right"))
        file = int(files[turn])
        begin = number - place + int(ends[turn]) - self._files.rows[file]
        order = self._order(epoch * (count + 1) + 1 + file, self._files.rows[file])
        return _Visit(file=file, begin=begin, end=begin + len(order), order=order)

    def _order(self, key: int, count: int) -> Indices:
        return self._draws.generator(key).permutation(count) if self._shuffle else np.arange(count)

    def _load(self, file: int) -> list[Floats]:
        if self._loaded is None or self._loaded[0] != file:
            self._loaded = None  # before the next one is read, so that two are never held
            self._loaded = (file, self._files.load(file))
        return self._loaded[1]
