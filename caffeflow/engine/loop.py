"""A whole run: iterations with tests, log lines and snapshots at the moments that Caffe has them.

A test at iteration k sees the weights after k updates, a snapshot `_iter_k` holds them, and after the
last iteration one more batch goes forward for the final loss line. What becomes of lines and figures is
the listener's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch

from caffeflow.engine import lines
from caffeflow.engine.detection import Detected
from caffeflow.engine.lines import Element, LogLine
from caffeflow.engine.signals import Requests
from caffeflow.engine.snapshot import SnapshotFiles, write_snapshot
from caffeflow.engine.solver import Iteration, NextFeeds, Solver
from caffeflow.engine.testing import TestPass, TestScores, elements_of, lines_of
from caffeflow.errors import CheckError
from caffeflow.proto.caffe_pb2 import SolverParameter


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The figures of a displayed iteration."""

    iteration: int
    loss: float
    rate: float
    elements: tuple[Element, ...]
    per_second: float


@dataclass(frozen=True, kw_only=True)
class Tested:
    """The figures of a test pass; `detected` for a test of detections only."""

    __test__ = False  # no test, whatever its name begins with

    iteration: int
    net: int
    loss: float
    elements: tuple[Element, ...]
    detected: tuple[Detected, ...] = ()


class Listener(Protocol):
    """Who hears of a run."""

    def line(self, line: LogLine) -> None:
        """A line of Caffe's log."""

    def shown(self, shown: Shown) -> None:
        """An iteration that is displayed."""

    def tested(self, tested: Tested) -> None:
        """A test pass is over."""

    def iterated(self, done: int) -> None:
        """So many updates are done; called after each."""

    def snapshotted(self, files: SnapshotFiles) -> None:
        """A snapshot is complete."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        iteration: Updates done.
        is_complete: Whether that is all of them; False after a stop.
    """

    iteration: int
    is_complete: bool


class Run:
    """Solves from where the solver stands to max_iter.

    Args:
        parameters: The solver's fields.
        solver: The solver, restored if the run goes on from a snapshot.
        next_feeds: The next training batch.
        tests: The test nets in the solver's order.
        snapshot_prefix: What the snapshots' names begin with.
        positions: Returns what to keep beside a snapshot so that the feeds can go on from it; asked
            before each test and at each snapshot. None: nothing is kept.
        listener: Hears of everything.
        requests: What signals ask for.
        keeps_stopped: Whether a stop writes a snapshot even where snapshot_after_train is false; Caffe's
            does not, and what was trained since the last one is lost.
    """

    def __init__(
        self,
        parameters: SolverParameter,
        solver: Solver,
        *,
        next_feeds: NextFeeds,
        tests: Sequence[TestPass],
        snapshot_prefix: str,
        positions: Callable[[], Mapping[str, Any] | None],
        listener: Listener,
        requests: Requests,
        keeps_stopped: bool = True,
    ) -> None:
        self._parameters: Final = parameters
        self._solver: Final = solver
        self._next_feeds: Final = next_feeds
        self._tests: Final = tests
        self._prefix: Final = snapshot_prefix
        self._positions: Final = positions
        self._listener: Final = listener
        self._requests: Final = requests
        self._keeps_stopped: Final = keeps_stopped
        self._snapshot_at = solver.iteration if solver.iteration else None
        self._before_test: Mapping[str, Any] | None = None
        self._last_shown = (solver.iteration, time.monotonic())

    def solve(self) -> Outcome:
        """Trains until max_iter, or until a stop is asked for.

        Raises:
            NonFiniteLossError: Nothing was updated or written with that loss.
            DataError: The data ran into trouble, or a snapshot cannot be written.
        """
        parameters, solver = self._parameters, self._solver
        for line in lines.solving(solver.net.graph.name, solver.rate.policy):
            self._listener.line(line)
        self._last_shown = (solver.iteration, time.monotonic())
        while solver.iteration < parameters.max_iter and not self._requests.stop:
            self._iterate()
        stopped = self._requests.stop and solver.iteration < parameters.max_iter
        is_kept = parameters.snapshot_after_train or (stopped and self._keeps_stopped)
        if is_kept and self._snapshot_at != solver.iteration:
            self._snapshot()
        if stopped:
            self._listener.line(lines.STOPPED)
            return Outcome(solver.iteration, is_complete=False)
        self._finish()
        return Outcome(solver.iteration, is_complete=True)

    def advance(self, count: int) -> None:
        """Does so many iterations, whatever max_iter says, with their tests, lines and snapshots.

        Raises:
            NonFiniteLossError: Nothing was updated or written with that loss.
            DataError: The data ran into trouble, or a snapshot cannot be written.
        """
        self._last_shown = (self._solver.iteration, time.monotonic())
        for _ in range(count):
            self._iterate()

    def snapshot(self) -> None:
        """Writes a snapshot now.

        Raises:
            CheckError: The weights are no numbers any more.
            DataError: It cannot be written.
        """
        self._snapshot()

    def _iterate(self) -> None:
        solver = self._solver
        if self._is_test_due() and (solver.iteration > 0 or self._parameters.test_initialization):
            self._test()
            if self._requests.stop:
                return
        is_displayed = solver.is_displayed
        done = solver.step(self._next_feeds)
        if is_displayed:
            self._show(done)
        for note in done.notes:
            self._listener.line(lines.policy_note(note))
        if is_displayed:
            self._listener.line(lines.rate(done.number, done.rate))
        if done.clipped is not None:
            clipped = done.clipped
            self._listener.line(lines.clipping(clipped.norm, clipped.limit, clipped.factor))
        self._listener.iterated(solver.iteration)
        every = self._parameters.snapshot
        if self._requests.take_snapshot() or (every > 0 and solver.iteration % every == 0):
            self._snapshot()

    def _is_test_due(self) -> bool:
        every = self._parameters.test_interval
        return bool(self._tests) and every > 0 and self._solver.iteration % every == 0

    def _test(self) -> None:
        # A test that is interrupted is done again on resume, so its data must not have moved on.
        self._before_test = self._positions()
        self._run_tests()
        if not self._requests.stop:
            self._before_test = None

    def _run_tests(self) -> None:
        for number, test in enumerate(self._tests):
            self._listener.line(lines.testing(self._solver.iteration, number))
            scores = test.run(self._wants_stop)
            if scores is None:
                self._listener.line(lines.TEST_INTERRUPTED)
                return
            for line in self._score_lines(scores):
                self._listener.line(line)
            self._listener.tested(
                Tested(
                    iteration=self._solver.iteration, net=number, loss=scores.loss,
                    elements=scores.elements, detected=scores.detected,
                )
            )  # fmt: skip

    def _score_lines(self, scores: TestScores) -> Iterator[LogLine]:
        loss = scores.loss if self._parameters.test_compute_loss else None
        is_detection = self._parameters.eval_type == "detection"
        yield from lines.test_scores(() if is_detection else scores.elements, loss)
        for detected in scores.detected:
            yield from lines_of(detected, with_classes=self._parameters.show_per_class_result)

    def _wants_stop(self) -> bool:
        if self._requests.take_snapshot():
            self._snapshot()
        return self._requests.stop

    def _show(self, done: Iteration) -> None:
        before, then = self._last_shown
        now = time.monotonic()
        self._last_shown = (done.number, now)
        seconds = now - then
        per_second = (done.number - before) / seconds if seconds > 0 else 0.0
        self._listener.line(
            lines.iteration(
                done.number,
                done.smoothed,
                per_second=per_second,
                seconds=seconds,
                display=self._parameters.display,
            )
        )
        elements = elements_of(self._solver.net, done.outputs)
        for line in lines.train_outputs(elements):
            self._listener.line(line)
        self._listener.shown(
            Shown(
                iteration=done.number, loss=done.smoothed, rate=done.rate, elements=elements,
                per_second=per_second,
            )
        )  # fmt: skip

    def _snapshot(self) -> None:
        solver = self._solver
        if solver.on_non_finite is None and not bool(torch.isfinite(solver.flat.data).all()):
            raise CheckError(
                f"weights are no numbers any more after iteration {solver.iteration}; no snapshot was"
                " written, the last one is kept: go on from it with a smaller base_lr or clip_gradients"
            )
        self._snapshot_at = solver.iteration
        hdf5 = self._parameters.snapshot_format == SolverParameter.HDF5
        files = SnapshotFiles(self._prefix, solver.iteration, is_hdf5=hdf5)
        for line in lines.snapshotting(files.caffemodel, files.solverstate, is_hdf5=hdf5):
            self._listener.line(line)
        write_snapshot(self._prefix, solver, positions=self._before_test or self._positions(), hdf5=hdf5)
        self._listener.snapshotted(files)

    def _finish(self) -> None:
        """Caffe: a last forward for the loss after all updates, and a last test (solver.cpp Solve)."""
        solver = self._solver
        if solver.is_displayed:
            result = solver.executor.forward(self._next_feeds())
            smoothed = solver.smoothed.add(float(result.loss))
            self._listener.line(lines.last_iteration(solver.iteration, smoothed))
        if self._is_test_due():
            self._test()
        self._listener.line(lines.DONE)
