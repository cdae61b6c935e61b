"""Batches made in the background, so that training need not wait for them.

One thread plans batches in order, which fixes what is in them; a pool of threads fills them (OpenCV and
numpy let go of the interpreter meanwhile). At most `depth` batches are under way or ready.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, Protocol, TypeAlias

from torch import Tensor

from caffeflow import images
from caffeflow.engine.feed.batches import Batch
from caffeflow.engine.feed.protocol import Position

_NICENESS: Final = 5  # a third of the share of a thread that computes, so the feed is never starved

_Planned: TypeAlias = Future[tuple[Batch, list[Future[None]]]]


class BatchSource(Protocol):
    """What plans batches."""

    def batches(self, start: int) -> Iterator[Batch]:
        """Yields batches without end, from record `start` of the stream on."""
        ...

    def close(self) -> None:
        """Lets the source go."""
        ...


def _step_back() -> None:
    """Lets this thread give way to those that compute.

    A parallel operation of torch waits for its slowest thread; one that has lost its core to the feed
    is late by a time slice of the system. On two cores that made lenet's iteration 12.3 ms, not 9.4.
    """
    if sys.platform.startswith("linux"):  # where a priority is a thread's own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


class BackgroundFeed:
    """A feed that works ahead.

    An error in the background is raised by `next` when its batch is due, and by each `next` after it.

    Args:
        source: Plans the batches; closed with the feed.
        workers: Threads that fill them.
        depth: Batches made ahead.
    """

    def __init__(self, source: BatchSource, *, workers: int, depth: int) -> None:
        images.use_one_thread()
        self._source = source
        self._depth = depth
        self._planner = ThreadPoolExecutor(1, "feed-planner", initializer=_step_back)
        self._workers = ThreadPoolExecutor(workers, "feed-worker", initializer=_step_back)
        self._pending: deque[_Planned] = deque()
        self._at = 0
        self._batches = source.batches(0)

    def next(self) -> tuple[Tensor, ...]:
        """Returns the tops of the next batch, waiting for it if need be."""
        while len(self._pending) < self._depth:
            self._pending.append(self._planner.submit(self._plan))
        batch, parts = self._pending[0].result()
        for part in parts:
            part.result()
        self._pending.popleft()  # not before: after an error the same batch is due again
        self._pending.append(self._planner.submit(self._plan))
        self._at = batch.end
        return batch.tops()

    def position(self) -> dict[str, int]:
        """Returns the number of the next record of the stream, all ranks counted."""
        return {"record": self._at}

    def restore(self, position: Position) -> None:
        """Goes on from a position, exactly."""
        self._drop_pending()
        self._at = position["record"]
        self._batches = self._source.batches(self._at)

    def close(self) -> None:
        """Waits for the threads to end, and closes the source."""
        self._drop_pending()
        self._planner.shutdown()
        self._workers.shutdown()
        self._batches = iter(())
        self._source.close()

    def _plan(self) -> tuple[Batch, list[Future[None]]]:
        batch = next(self._batches)
        return batch, [self._workers.submit(part) for part in batch.parts]

    def _drop_pending(self) -> None:
        """Cancels what has not begun and waits for the rest, whatever comes of it."""
        while self._pending:
            planned = self._pending.popleft()
            if planned.cancel() or planned.exception() is not None:
                continue
            _, parts = planned.result()
            wait([part for part in parts if not part.cancel()])
