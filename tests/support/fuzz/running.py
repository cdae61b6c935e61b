"""Runs one target in this process, under limits of time and memory.

The one rule: before an input is tried it is written to `LAST_INPUT`. What ends the process at once (a fault
in a library's C code, a hang that the watchdog ends) leaves it there; what raises is shrunk by hypothesis.
"""

from __future__ import annotations

import faulthandler
import resource
import time
import warnings
from itertools import count
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, given, seed, settings

from tests.support.fuzz.target import Target, hold

LAST_INPUT: Final = Path("last_input")
EXAMPLE_LIMIT_S: Final = 10.0
MEMORY_LIMIT_BYTES: Final = 1 << 30
"""How much more address space than at the start the process may take."""

_ROUND: Final = 100


def run(target: Target, *, seconds: float, first_seed: int) -> tuple[int, int]:
    """Tries inputs until the time is up; the same seed gives the same inputs in the same order.

    Returns:
        How many inputs were tried, and how many of them the product took.

    Raises:
        Exception: What the product raised, with hypothesis' note of the smallest input.
    """
    tried = taken = 0
    end: float | None = (
        None  # of the time, which begins with the first input: making strategies takes its own
    )

    def one(drawn: Any) -> None:
        nonlocal tried, taken, end
        if end is None:
            end = time.monotonic() + seconds
        elif time.monotonic() >= end:
            return
        LAST_INPUT.write_bytes(target.shown(drawn))
        faulthandler.dump_traceback_later(EXAMPLE_LIMIT_S, exit=True)
        try:
            taken += hold(target, drawn)
        finally:
            faulthandler.cancel_dump_traceback_later()
        tried += 1

    property_holds = given(target.inputs)(one)
    property_holds = settings(
        max_examples=_ROUND, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )(property_holds)
    _limit_memory()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for number in count(first_seed):
            seed(number)(property_holds)()
            if end is None or time.monotonic() >= end:
                return tried, taken
    raise AssertionError("unreachable")


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
