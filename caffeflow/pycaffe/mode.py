"""What scripts set once for the whole process: device, random seed, log; and the two phases."""

from __future__ import annotations

import itertools
import logging
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from caffeflow.engine.lines import LogLine

TRAIN: Final = 0
TEST: Final = 1

_log = logging.getLogger(__name__)

_LEVEL: Final = "GLOG_minloglevel"
_LEVELS: Final = {"I": 0, "W": 1, "E": 2, "F": 3}


@dataclass
class _State:
    seeds: Iterator[int] = field(
        default_factory=lambda: itertools.count(random.SystemRandom().getrandbits(31))
    )
    is_logging: bool = True


_state: Final = _State()


def set_mode_cpu() -> None:
    """Computes on the CPU, as it always does."""


def set_mode_gpu() -> None:
    """Goes on computing on the CPU, and says so: blobs are numpy arrays, which lie in its memory."""
    _log.warning("set_mode_gpu has no effect: caffe's Python API computes on the CPU here")


def set_device(number: int) -> None:
    """Does nothing: there is one device, whatever its number."""
    _log.debug("set_device(%d) has no effect", number)


def set_random_seed(seed: int) -> None:
    """Lets every net made from now on begin with the same weights, dropout and crops in each run."""
    _state.seeds = itertools.count(int(seed) % 2**32)  # Caffe: an unsigned number


def next_seed() -> int:
    """Returns the seed of the next net."""
    return next(_state.seeds)


def set_logging_disabled() -> None:
    """Writes no log lines from now on."""
    _state.is_logging = False


def init_log(level: int = 0) -> None:
    """Writes log lines of this level and above to stderr; 0 is everything."""
    _state.is_logging = True
    os.environ[_LEVEL] = str(level)


def log(text: str) -> None:
    """Writes a line into the log."""
    show(LogLine("_caffe.cpp:52", text))


def show(line: LogLine) -> None:
    """Writes a line of the log to stderr, unless GLOG_minloglevel or the script has it quiet."""
    if _state.is_logging and _LEVELS[line.level] >= int(os.environ.get(_LEVEL, "0")):
        sys.stderr.write(f"{line.with_prefix()}\n")
