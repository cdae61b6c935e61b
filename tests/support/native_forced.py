"""Forced steps: from each snapshot that the real Caffe wrote, one iteration of ours on the same batch.

Two runs of the same training drift apart by rounding alone, so only this shows whether an iteration
computes the same: both sides begin it with the same weights, history and data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.feed.sources import record_shape
from caffeflow.engine.net import Net
from caffeflow.engine.snapshot import restore_snapshot
from caffeflow.engine.snapshot_formats import read_state
from caffeflow.engine.solver import Executor, Solver
from caffeflow.engine.training import Feeds, FusedExecutor, Result
from caffeflow.proto.binary import read_caffemodel
from caffeflow.proto.net import train_net_of
from caffeflow.proto.text import read_solver
from tests.support.native import NativeCaffe
from tests.support.native_decisions import NudgedExecutor, decided_on
from tests.support.native_training import Trajectory
from tests.support.solved import furthest

Arrays = dict[tuple[str, int], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class ForcedStep:
    """How far one iteration of ours lies from Caffe's.

    Attributes:
        iteration: Updates done before it.
        loss: Difference of the losses, relative to Caffe's.
        updates: For each learned blob with an update: the norm of the difference of the two updates,
            relative to the norm of Caffe's.
        history: The largest difference of the histories after it, relative to a blob's largest entry.
        without_help: The largest of them as it was while ours decided by itself, where a comparison of
            numbers that are equal up to rounding had gone the other way; else None.
    """

    iteration: int
    loss: float
    updates: dict[tuple[str, int], float]
    history: float
    without_help: float | None = None

    @property
    def worst_update(self) -> float:
        """The largest of `updates`."""
        return max(self.updates.values(), default=0.0)


class ForcedRun:
    """Our engine beside a finished training of Caffe's.

    Args:
        caffe: The real Caffe.
        trajectory: With a snapshot of every iteration, from 1 on.
        bound: On the updates, relative to their norms; beyond it, it is tried whether a flipped decision
            is the reason. None: updates are not looked at.
    """

    def __init__(self, caffe: NativeCaffe, trajectory: Trajectory, *, bound: float | None) -> None:
        parameters = read_solver(trajectory.solver)
        role = train_net_of(parameters, solver_path=trajectory.solver)
        self._caffe = caffe
        self._trajectory = trajectory
        self._bound = bound
        self._net = Net.of(role, record_shape=record_shape)
        self._executor = FusedExecutor(self._net)
        self._solver = Solver(parameters, self._net, self, channels_last=self._executor.channels_last)
        self._current: Executor = self._executor
        self._iter_size = parameters.iter_size

    def forward(self, feeds: Feeds) -> Result:
        """Runs the net as the current step wants it run."""
        return self._current.forward(feeds)

    def backward(self) -> None:
        """Goes back through what `forward` ran."""
        self._current.backward()

    def steps(self, count: int) -> Iterator[ForcedStep]:
        """Yields a step from each of the snapshots 1 to `count`."""
        batches = self._read()
        for iteration in range(count + 1):
            feeds = list(islice(batches, self._iter_size))
            if iteration == 0:
                continue  # Caffe does not write what it began with
            step = self._step(iteration, feeds)
            if self._bound is not None and step.worst_update > self._bound:
                step = replace(self._step_as_caffe_decides(iteration, feeds), without_help=step.worst_update)
            yield step

    def _step(self, iteration: int, feeds: list[Feeds]) -> ForcedStep:
        restore_snapshot(str(self._trajectory.state(iteration)), self._solver)
        assert self._solver.iteration == iteration
        before = self._weights()
        done = self._solver.step(iter(feeds).__next__)
        expected = self._trajectory.losses[iteration]
        theirs = weights_of(self._trajectory.weights(iteration + 1))
        return ForcedStep(
            iteration=iteration,
            loss=abs(done.loss - expected) / abs(expected),
            updates=dict(_relative(before, self._weights(), theirs)) if self._bound is not None else {},
            history=furthest(
                self._solver.update.history(), read_state(str(self._trajectory.state(iteration + 1))).history
            ),
        )

    def _step_as_caffe_decides(self, iteration: int, feeds: list[Feeds]) -> ForcedStep:
        folder = self._trajectory.solver.parent / "decisions"
        weights = self._trajectory.weights(iteration)
        (batch,) = feeds
        inputs = decided_on(self._caffe, self._net, weights=weights, feeds=batch, folder=folder)
        self._current = NudgedExecutor(self._net, inputs)
        try:
            return self._step(iteration, feeds)
        finally:
            self._current = self._executor

    def _weights(self) -> Arrays:
        return {
            (layer.name, place): array.astype(np.float64)
            for layer in self._net.arrays()
            for place, array in enumerate(layer.arrays)
        }

    def _read(self) -> Iterator[Feeds]:
        feeds = {
            layer.name: open_feed(layer.facts.node.layer, phase="TRAIN", seed=0) for layer in self._net.fed
        }
        try:
            while True:
                yield {name: feed.next() for name, feed in feeds.items()}
        finally:
            for feed in feeds.values():
                feed.close()


def weights_of(path: Path) -> Arrays:
    """Returns the learned blobs of a caffemodel by layer and place, in double precision."""
    return {
        (layer.name, place): array.astype(np.float64)
        for layer in read_caffemodel(path)
        for place, array in enumerate(layer.arrays)
    }


def _relative(before: Arrays, ours: Arrays, theirs: Arrays) -> Iterator[tuple[tuple[str, int], float]]:
    assert set(ours) == set(theirs)
    for key, start in before.items():
        update = theirs[key] - start
        norm = np.linalg.norm(update)
        difference = np.linalg.norm(ours[key] - theirs[key])
        if norm == 0:
            assert difference == 0, f"{key}: Caffe leaves it, ours moves it"
            continue
        yield key, float(difference / norm)
