"""What one line of a Caffe log says, as a small value; the state between lines is `log.py`'s.

The one rule to know: the prefix (`I1120 10:00:00.123456 1234 solver.cpp:239] `) is optional, since
people keep logs without it, and its year is often missing (`I1120`, not `I20261120`); whoever reads
several lines carries the year along.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

Side = Literal["train", "test"]

_PREFIX: Final = re.compile(
    r"([IWEF])(\d{4})?(\d{2})(\d{2})\s+(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?\s+\d+\s+[^\s:]+:\d+\]\s?"
)
_SPACED_WORDS: Final = {"1.#inf": math.inf, "-1.#inf": -math.inf}  # as Windows builds print them


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """The start of a log line; `year` is None when the program wrote month and day only."""

    level: str  # I, W, E or F
    year: int | None
    month: int
    day: int
    hour: int
    minute: int
    second: int
    microsecond: int

    def moment(self, *, year: int) -> datetime:
        """Returns the time of the line, in `year` unless the line names its own."""
        return datetime(
            self.year or year, self.month, self.day, self.hour, self.minute, self.second, self.microsecond
        )


@dataclass(frozen=True)
class Solving:
    """Training starts, or goes on after a restart."""

    net: str


@dataclass(frozen=True)
class Resuming:
    """The run goes on from a snapshot; `path` is empty when only the restoring is logged."""

    path: str


@dataclass(frozen=True)
class Finetuning:
    """Weights are loaded before the run starts."""

    path: str


@dataclass(frozen=True)
class Loss:
    """The smoothed loss at an iteration; `rate` is iterations a second, where the log has it."""

    iteration: int
    loss: float
    rate: float | None


@dataclass(frozen=True)
class LearningRate:
    """The rate of the update that follows at this iteration."""

    iteration: int
    lr: float


@dataclass(frozen=True)
class Testing:
    """The outputs of test net number `net` follow."""

    iteration: int
    net: int


@dataclass(frozen=True)
class Output:
    """One element of an output blob; `weight` is its loss weight, 0 when it is no loss."""

    side: Side
    index: int
    name: str
    value: float
    weight: float


@dataclass(frozen=True)
class ClassScore:
    """The average precision of one class in a test of detections (show_per_class_result)."""

    label: int
    value: float


@dataclass(frozen=True)
class TestLoss:
    """The mean total loss of a test pass (solvers with test_compute_loss)."""

    __test__ = False  # the name begins with "Test", and pytest collects such classes

    value: float


@dataclass(frozen=True)
class Status:
    """A learning-rate policy reports: `MultiStep`/`Plateau`, `step` or `current minimum_loss`."""

    policy: str
    iteration: int
    what: str
    value: float


@dataclass(frozen=True)
class Snapshotting:
    """A snapshot is written; one each for the weights and for the solver's state."""

    path: str
    is_state: bool


@dataclass(frozen=True)
class Ended:
    """The solver says that it is done, or that it was stopped early."""

    how: Literal["done", "stopped"]


Event = (
    Solving | Resuming | Finetuning | Loss | LearningRate | Testing | Output | ClassScore | TestLoss
    | Status | Snapshotting | Ended
)  # fmt: skip


def split_prefix(line: str) -> tuple[Prefix | None, str]:
    """Returns the prefix of a line, if it has one, and the message after it."""
    found = _PREFIX.match(line)
    if found is None:
        return None, line
    level, year, month, day, hour, minute, second, fraction = found.groups()
    prefix = Prefix(
        level=level, year=int(year) if year else None, month=int(month), day=int(day),
        hour=int(hour), minute=int(minute), second=int(second),
        microsecond=int((fraction or "0").ljust(6, "0")),
    )  # fmt: skip
    return prefix, line[found.end() :]


def to_number(text: str) -> float:
    """Returns a number as C++ streams print it: also `-nan`, `inf`, and `1.#INF` of Windows builds.

    Raises:
        ValueError: The text is no number.
    """
    word = text.lower()
    if word in _SPACED_WORDS:
        return _SPACED_WORDS[word]
    if word.lstrip("-+").startswith(("nan", "1.#qnan", "1.#ind", "1.#snan")):
        return math.nan
    return float(word)


def read_message(message: str) -> Event | None:
    """Returns what a message says, or None if it says nothing about the course of a run."""
    text = message.strip()
    for start, pattern, build in _SHAPES:
        if text.startswith(start):
            found = pattern.match(text)
            if found is not None:
                return build(found)
    return None


def _output(found: re.Match[str]) -> Output:
    side, index, name, value, weight = found.groups()
    return Output(
        side="train" if side == "Train" else "test", index=int(index), name=name,
        value=to_number(value), weight=to_number(weight) if weight else 0.0,
    )  # fmt: skip


def _loss(found: re.Match[str]) -> Loss:
    iteration, rate, loss = found.groups()
    return Loss(int(iteration), to_number(loss), to_number(rate) if rate else None)


_NUMBER: Final = (
    r"([-+]?(?:1\.#\w+|\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|nan(?:\([^)]*\))?|inf(?:inity)?))"
)

_Shape = tuple[str, re.Pattern[str], Callable[[re.Match[str]], Event]]


def _shape(start: str, rest: str, build: Callable[[re.Match[str]], Event]) -> _Shape:
    return start, re.compile(re.escape(start) + rest, re.IGNORECASE), build


_OUTPUT_REST: Final = rf" net output #(\d+): (\S+) = {_NUMBER}(?: \(\* {_NUMBER} = .*)?"

# The first that matches wins. BVLC puts the speed in brackets after the iteration, SSD does not, and
# NVIDIA's fork adds the epoch; all three are one shape here.
_SHAPES: Final[tuple[_Shape, ...]] = (
    ("Train", re.compile(f"(Train){_OUTPUT_REST}", re.IGNORECASE), _output),
    ("Test net output", re.compile(f"(Test){_OUTPUT_REST}", re.IGNORECASE), _output),
    _shape(
        "Iteration ", rf"(\d+)(?: \({_NUMBER} iter/s[^)]*\))?,(?: [^,=]*,)? loss = {_NUMBER}", _loss
    ),
    _shape(
        "Iteration ", rf"(\d+), lr = {_NUMBER}", lambda m: LearningRate(int(m[1]), to_number(m[2]))
    ),
    _shape(
        "Iteration ", r"(\d+), Testing net \(#(\d+)\)", lambda m: Testing(int(m[1]), int(m[2]))
    ),
    _shape("class", rf"(\d+): {_NUMBER}$", lambda m: ClassScore(int(m[1]), to_number(m[2]))),
    _shape("Test loss: ", _NUMBER, lambda m: TestLoss(to_number(m[1]))),
    _shape(
        "MultiStep Status: Iteration ", rf"(\d+), (step) = {_NUMBER}",
        lambda m: Status("MultiStep", int(m[1]), m[2], to_number(m[3])),
    ),
    _shape(
        "Plateau Status: Iteration ", rf"(\d+), (.+?) = {_NUMBER}",
        lambda m: Status("Plateau", int(m[1]), m[2], to_number(m[3])),
    ),
    _shape("Solving ", r"(.*)", lambda m: Solving(m[1])),
    _shape("Resuming from ", r"(.*)", lambda m: Resuming(m[1])),
    _shape("SGDSolver: restoring history", "", lambda _: Resuming("")),
    _shape("Finetuning from ", r"(.*)", lambda m: Finetuning(m[1])),
    _shape(
        "Snapshotting solver state to ", r"(?:binary proto|HDF5) file (.*)",
        lambda m: Snapshotting(m[1], is_state=True),
    ),
    _shape(
        "Snapshotting to ", r"(?:binary proto|HDF5) file (.*)",
        lambda m: Snapshotting(m[1], is_state=False),
    ),
    _shape("Optimization Done", "", lambda _: Ended("done")),
    _shape("Optimization stopped early", "", lambda _: Ended("stopped")),
)  # fmt: skip
