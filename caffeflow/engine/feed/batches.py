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
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor

from caffeflow.data.readers.datum import Planes
from caffeflow.engine.feed.draws import Indices
from caffeflow.engine.feed.records import Loaded, Records
from caffeflow.engine.feed.settings import Floats
from caffeflow.layers.spec import Shape

_SMALL_BATCH: Final = 1 << 18  # values; converting fewer takes less time than sharing them out


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that is full when all its parts have run.

    Attributes:
        parts: Each fills its part of the tops.
        tops: Returns the layer's tops; to be called when all parts have run.
        end: The number of the stream's next record.
    """

    parts: tuple[Callable[[], None], ...]
    tops: Callable[[], tuple[Tensor, ...]]
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


class Transforms(Protocol):
    """What makes a batch of decoded records."""

    def output_shape(self, record: Shape, name: str) -> Shape:
        """Returns (C, h, w) of what becomes of a record of (C, H, W)."""
        ...

    def fill(
        self, planes: Sequence[Planes] | Planes, numbers: Indices, out: Floats, *, name: Callable[[int], str]
    ) -> None:
        """Writes transformed records into their part (N, C, h, w) of a batch."""
        ...


def cut(
    records: Records,
    settings: BatchSettings,
    start: int,
    plan: Callable[[Sequence[Any], Indices, int], Batch],
) -> Iterator[Batch]:
    """Yields batches without end, from record `start` of the stream on.

    Args:
        records: The source.
        settings: How its stream is cut.
        start: The first batch's first record, all ranks counted.
        plan: Makes a batch of this rank's items, their numbers in the stream, and the batch's end.
    """
    size, rank, world = settings.batch_size, settings.rank, settings.world
    items = records.stream(start + rank, step=world)
    own = rank + world * np.arange(size)
    while True:
        chosen = list(islice(items, size))
        end = start + world * size
        yield plan(chosen, start + own, end)
        start = end


def shares(count: int, most: int) -> list[tuple[int, int]]:
    """Returns beginnings and ends that share out `count` items, into `most` parts if there are so many."""
    parts = min(most, count)
    return list(pairwise(count * part // parts for part in range(parts + 1)))


class RecordBatches:
    """Plans the batches of a Data or ImageData layer.

    Args:
        records: Its source; closed with the plan.
        transformer: Its transformer.
        settings: How the stream is cut.
    """

    def __init__(self, records: Records, transformer: Transforms, settings: BatchSettings) -> None:
        self._records = records
        self._transformer = transformer
        self._settings = settings
        self._buffers = Buffers(pin=settings.pin)

    def batches(self, start: int) -> Iterator[Batch]:
        """Returns batches without end, from record `start` of the stream on."""
        return cut(self._records, self._settings, start, self._plan)

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
        parts = []
        for low, high in shares(len(items), 1 if is_small else self._settings.parts):
            known = first if low == 0 and first.is_costly else None
            places = (data[low:high].numpy(), labels[low:high].numpy())
            parts.append(partial(self._fill, items[low:high], known, numbers[low:high], *places))
        tops = (data, labels) if self._settings.with_labels else (data,)
        return Batch(parts=tuple(parts), tops=lambda: tops, end=end)

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
