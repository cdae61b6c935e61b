"""Work in parallel, results in order, few in memory."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from caffeflow.data.pipeline import CHUNK, ordered_map, window_for


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 7 * CHUNK + 3])
def test_results_come_in_the_order_of_the_items(count: int) -> None:
    rng = random.Random(1)
    waits = [rng.uniform(0, 0.002) for _ in range(count)]

    def work(number: int) -> int:
        time.sleep(waits[number])
        return number * number

    chunks = list(ordered_map(work, range(count), workers=3, window=5))
    assert [result for chunk in chunks for result in chunk] == [number * number for number in range(count)]


def test_no_more_than_the_window_is_under_way() -> None:
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        for number in range(20 * CHUNK):
            drawn += 1
            yield number

    for taken, _ in enumerate(ordered_map(lambda number: number, items(), workers=2, window=4)):
        assert drawn <= (taken + 4) * CHUNK


def test_an_error_is_raised_in_its_turn_and_ends_the_workers() -> None:
    def work(number: int) -> int:
        if number == 5 * CHUNK:
            raise KeyError(number)
        return number

    before = threading.active_count()
    chunks = ordered_map(work, range(50 * CHUNK), workers=2, window=8)
    assert [len(next(chunks)) for _ in range(5)] == [CHUNK] * 5
    with pytest.raises(KeyError):
        next(chunks)
    assert threading.active_count() == before


def test_closing_early_ends_the_workers() -> None:
    before = threading.active_count()
    with closing(ordered_map(lambda number: number, range(1000 * CHUNK), workers=2, window=8)) as chunks:
        next(chunks)
    assert threading.active_count() == before


def test_the_window_goes_by_memory_but_keeps_all_workers_busy() -> None:
    assert window_for(item_bytes=3072, workers=2) == 256
    assert window_for(item_bytes=256 * 256 * 3, workers=2) == 42
    assert window_for(item_bytes=50_000_000, workers=2) == 5
    assert window_for(item_bytes=256 * 256 * 3, workers=64) == 129
