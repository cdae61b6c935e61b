"""Work in parallel, results in order, with a bounded number of them in memory.

Threads, not processes: reading, decoding, resizing, hashing and copying pixels all run without
Python's lock, nothing is pickled, and a kill leaves no orphans. What holds the lock is some 0.1 ms an
image, so that the writer, which is one, is the narrower place up to dozens of cores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

CHUNK: Final = 16  # items that a worker takes at once: handing over costs as much as decoding 32x32
_WINDOW_BYTES: Final = 128 << 20  # enough that workers go on while a commit waits for the disk


def window_for(*, item_bytes: int, workers: int) -> int:
    """Returns how many chunks may be under way: by memory, but at least two a worker."""
    return max(2 * workers + 1, min(_WINDOW_BYTES // (CHUNK * max(item_bytes, 1)), 256))


def ordered_map(
    work: Callable[[T], R], items: Iterable[T], *, workers: int, window: int
) -> Generator[list[R], None, None]:
    """Yields the results of a chunk of items after another, in the order of the items.

    Args:
        work: Runs in `workers` threads; what it raises is raised here, in its turn.
        items: Drawn from as chunks are handed out, in the caller's thread.
        workers: Threads.
        window: Chunks that are under way or waiting to be taken.
    """
    source = iter(items)
    pending: deque[Future[list[R]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="convert")
    try:
        while chunk := list(islice(source, CHUNK)):
            pending.append(pool.submit(_map, work, chunk))
            if len(pending) >= window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _map(work: Callable[[T], R], chunk: list[T]) -> list[R]:
    return [work(item) for item in chunk]
