"""Batches of records as work that several threads can share.

A batch is planned in order, by one thread, and filled in parts, by any thread and in any order. The
numbers of the records count on around the end of the data: they are the place in the stream, and what the
random numbers depend on.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from caffeflow.engine.feed.draws import Indices
from caffeflow.engine.feed.records import Loaded, Records
from caffeflow.engine.feed.transformer import Floats, Transformer
from caffeflow.layers.spec import Shape

_SMALL_BATCH: Final = 1 << 18  # values; converting fewer takes less time than sharing them out


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that is full when all its parts have run.

    Attributes:
        tops: The layer's.
        parts: Each fills its part of the tops.
        end: The number of the stream's next record.
    """

    tops: tuple[Tensor, ...]
    parts: tuple[Callable[[], None], ...]
    end: int


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """How the stream is cut into batches.

    Attributes:
        batch_size: Records a batch.
        rank: This process's number; it takes the records whose number leaves `rank` over `world`.
        world: How many processes share the stream.
        with_labels: The layer has a second top.
        parts: Into how many parts a batch is cut at most.
        pin: Batches lie in page-locked memory, for copying to a CUDA device.
    """

    batch_size: int
    rank: int = 0
    world: int = 1
    with_labels: bool = True
    parts: int = 1
    pin: bool = False


class RecordBatches:
    """Plans the batches of one data layer.

    Args:
        records: Its source; closed with the plan.
        transformer: Its transformer.
        settings: How the stream is cut.
    """

    def __init__(self, records: Records, transformer: Transformer, settings: BatchSettings) -> None:
        self._records = records
        self._transformer = transformer
        self._settings = settings
        self._buffers = Buffers(pin=settings.pin)

    def batches(self, start: int) -> Iterator[Batch]:
        """Yields batches without end, from record `start` of the stream on."""
        size, rank, world = self._settings.batch_size, self._settings.rank, self._settings.world
        items = self._records.stream(start + rank, step=world)
        own = rank + world * np.arange(size)
        while True:
            chosen = list(islice(items, size))
            end = start + world * size
            yield self._plan(chosen, start + own, end)
            start = end

    def close(self) -> None:
        """Lets the source go; no part may run any more."""
        self._records.close()

    def _plan(self, items: Sequence[Any], numbers: Indices, end: int) -> Batch:
        # Caffe: the first record of each batch decides the batch's shape (data_layer.cpp).
        first = self._records.load(items[:1])
        shape = self._transformer.output_shape(first.planes[0].shape, self._records.name(items[0]))
        data = self._buffers.take((len(items), *shape))
        labels = torch.empty(len(items))
        is_small = data.numel() < _SMALL_BATCH and not first.is_costly
        most = 1 if is_small else min(self._settings.parts, len(items))
        bounds = [len(items) * part // most for part in range(most + 1)]
        parts = []
        for low, high in pairwise(bounds):
            known = first if low == 0 and first.is_costly else None
            places = (data[low:high].numpy(), labels[low:high].numpy())
            parts.append(partial(self._fill, items[low:high], known, numbers[low:high], *places))
        tops = (data, labels) if self._settings.with_labels else (data,)
        return Batch(tops=tops, parts=tuple(parts), end=end)

    def _fill(
        self, items: Sequence[Any], first: Loaded | None, numbers: Indices, data: Floats, labels: Floats
    ) -> None:
        loaded = self._load_rest(items, first) if first else self._records.load(items)
        self._transformer.fill(
            loaded.planes, numbers, data, name=lambda index: self._records.name(items[index])
        )
        labels[...] = loaded.labels

    def _load_rest(self, items: Sequence[Any], first: Loaded) -> Loaded:
        """Returns the records of the items, of which the first is decoded already."""
        if len(items) == 1:
            return first
        rest = self._records.load(items[1:])
        return Loaded([*first.planes, *rest.planes], [*first.labels, *rest.labels], is_costly=True)


class Buffers:
    """Batch tensors whose memory is used again once nobody holds the tensor or a view of it.

    Fresh memory would be mapped and cleared by the system page by page for each batch.

    Args:
        pin: Page-locked memory; torch keeps its own store of that.
    """

    def __init__(self, *, pin: bool) -> None:
        self._pin = pin
        self._free: deque[Floats] = deque(maxlen=4)

    def take(self, shape: Shape) -> Tensor:
        """Returns an uninitialized float32 tensor."""
        if self._pin:
            return torch.empty(shape, pin_memory=True)
        while self._free:
            memory = self._free.pop()
            if memory.shape == shape:
                return self._lend(memory)
        return self._lend(np.empty(shape, np.float32))

    def _lend(self, memory: Floats) -> Tensor:
        view = memory[...]  # the tensor's storage keeps this object, and nothing else does
        weakref.finalize(view, self._free.append, memory).atexit = False
        return torch.from_numpy(view)
