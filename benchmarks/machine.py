"""What the figures were measured on, and whether the machine had time for it."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Final

from benchmarks.measure import run_module
from caffeflow import __version__, system

_BUSY_SHARE: Final = 0.1


def describe() -> list[str]:
    """Returns lines about processor, memory and libraries."""
    ours = run_module("benchmarks.libraries")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    commit = system.git_state(Path(__file__).parent) or "no checkout"
    return [
        f"{_processor()}; {system.usable_cores()} cores, {memory:.0f} GiB; {platform.platform()}",
        f"caffeflow {__version__} ({commit}) on Python {platform.python_version()}, OpenCV {ours['opencv']},"
        f" torch {ours['torch']} with {ours['blas']} and {ours['threads']} threads",
    ]


def load_line() -> str:
    """Looks for a second at what others do, and returns it as a line; a warning if it is much."""
    share = _busy_share(seconds=1.0)
    averages = ", ".join(f"{load:.2f}" for load in os.getloadavg())
    line = f"Load average before: {averages}; processors busy for {share:.0%} of the last second."
    if share > _BUSY_SHARE:
        line += " **Warning: the machine is busy with something else; these figures are not to be trusted.**"
    return line


def _busy_share(*, seconds: float) -> float:
    before_idle, before_all = _processor_times()
    time.sleep(seconds)
    idle, everything = _processor_times()
    return 1 - (idle - before_idle) / max(everything - before_all, 1)


def _processor_times() -> tuple[int, int]:
    """Returns how long the processors were idle, and all of their time, in ticks."""
    times = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return times[3] + times[4], sum(times)


def _processor() -> str:
    facts = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    known = facts.get("model name", platform.processor())
    return f"{known} (family {facts.get('cpu family', '?')}, model {facts.get('model', '?')})"
