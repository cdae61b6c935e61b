"""The lines that Caffe logs while it solves, word for word: people's scripts read them.

`parse_log.py` looks for the words, `parse_log.sh` counts the columns of the glog prefix, so both are
kept. Numbers are as C++ streams print them: six significant digits, no trailing zeros.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class LogLine:
    """A line and the place in Caffe's source that it would come from."""

    source: str
    text: str
    level: str = "I"  # W for a warning

    def with_prefix(self, now: datetime | None = None) -> str:
        """Returns the line behind glog's prefix: level, date, time, thread and source."""
        now = now or datetime.now()
        return f"{self.level}{now:%m%d %H:%M:%S.%f} {os.getpid():5d} {self.source}] {self.text}"


@dataclass(frozen=True)
class Element:
    """One element of an output blob as Caffe numbers and prints it."""

    blob: str
    value: float
    weight: float


def number(value: float) -> str:
    """Returns a number as a C++ stream prints it."""
    return f"{value:g}"


def solving(net_name: str, policy: str) -> Iterator[LogLine]:
    """Yields what is said before the first iteration."""
    yield LogLine("solver.cpp:279", f"Solving {net_name}")
    yield LogLine("solver.cpp:280", f"Learning Rate Policy: {policy}")


def iteration(done: int, loss: float, *, per_second: float, seconds: float, display: int) -> LogLine:
    """Returns the line that a displayed iteration begins with."""
    speed = f"{number(per_second)} iter/s, {number(seconds)}s/{display} iters"
    return LogLine("solver.cpp:218", f"Iteration {done} ({speed}), loss = {number(loss)}")


def last_iteration(done: int, loss: float) -> LogLine:
    """Returns the line of the forward pass after the last update."""
    return LogLine("solver.cpp:312", f"Iteration {done}, loss = {number(loss)}")


def train_outputs(elements: Sequence[Element]) -> Iterator[LogLine]:
    """Yields the train net's outputs, an element a line."""
    for place, element in enumerate(elements):
        yield LogLine("solver.cpp:237", f"    Train net output #{place}: {with_loss(element)}")


def rate(done: int, value: float) -> LogLine:
    """Returns the line with the learning rate."""
    return LogLine("sgd_solver.cpp:105", f"Iteration {done}, lr = {number(value)}")


def policy_note(text: str) -> LogLine:
    """Returns what a learning-rate policy has to say."""
    return LogLine("sgd_solver.cpp:50", text)


def clipping(norm: float, limit: float, factor: float) -> LogLine:
    """Returns the line about a gradient that was too long."""
    return LogLine(
        "sgd_solver.cpp:93",
        f"Gradient clipping: scaling down gradients (L2 norm {number(norm)} > {number(limit)})"
        f" by scale factor {number(factor)}",
    )


def testing(done: int, net: int) -> LogLine:
    """Returns the line before a test pass."""
    return LogLine("solver.cpp:330", f"Iteration {done}, Testing net (#{net})")


def test_scores(elements: Sequence[Element], loss: float | None) -> Iterator[LogLine]:
    """Yields the means of a test pass; the loss only where the solver asks for it."""
    if loss is not None:
        yield LogLine("solver.cpp:386", f"Test loss: {number(loss)}")
    for place, element in enumerate(elements):
        yield LogLine("solver.cpp:397", f"    Test net output #{place}: {with_loss(element)}")


def detections_missing(label: int) -> LogLine:
    """Returns the warning about a class of which nothing was detected."""
    return LogLine("solver.cpp:524", f"Missing true_pos for label: {label}", level="W")


def class_score(label: int, ap: float) -> LogLine:
    """Returns the average precision of one class, for solvers with show_per_class_result."""
    return LogLine("solver.cpp:540", f"class{label}: {number(ap)}")


def detection_score(place: int, blob: str, mean: float) -> LogLine:
    """Returns the mean average precision of an output."""
    return LogLine("solver.cpp:546", f"    Test net output #{place}: {blob} = {number(mean)}")


def snapshotting(caffemodel: str, solverstate: str, *, is_hdf5: bool = False) -> Iterator[LogLine]:
    """Yields what is said about the two files of a snapshot."""
    if is_hdf5:
        yield LogLine("solver.cpp:474", f"Snapshotting to HDF5 file {caffemodel}")
        yield LogLine("sgd_solver.cpp:286", f"Snapshotting solver state to HDF5 file {solverstate}")
    else:
        yield LogLine("solver.cpp:447", f"Snapshotting to binary proto file {caffemodel}")
        yield LogLine("sgd_solver.cpp:273", f"Snapshotting solver state to binary proto file {solverstate}")


def resuming(solverstate: str) -> LogLine:
    """Returns what is said before a snapshot is read."""
    return LogLine("caffe.cpp:241", f"Resuming from {solverstate}")


def restored(solverstate: str) -> Iterator[LogLine]:
    """Yields what is said of a snapshot that fits; of an HDF5 file Caffe says nothing."""
    if not solverstate.endswith(".h5"):
        yield LogLine("sgd_solver.cpp:318", "SGDSolver: restoring history")


def finetuning(weights: str) -> LogLine:
    """Returns the line about weights to begin with."""
    return LogLine("solver.cpp:72", f"Finetuning from {weights}")


STARTING = LogLine("caffe.cpp:248", "Starting Optimization")
STOPPED = LogLine("solver.cpp:295", "Optimization stopped early.")
TEST_INTERRUPTED = LogLine("solver.cpp:373", "Test interrupted.")
DONE = LogLine("solver.cpp:317", "Optimization Done.")
COMMAND_DONE = LogLine("caffe.cpp:259", "Optimization Done.")


def with_loss(element: Element) -> str:
    """Returns an element as `blob = value`, and what it adds to the loss if it is one."""
    text = f"{element.blob} = {number(element.value)}"
    if not element.weight:
        return text
    weighted = number(element.weight * element.value)
    return f"{text} (* {number(element.weight)} = {weighted} loss)"
