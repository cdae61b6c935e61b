"""Forced steps: from each snapshot that the real Caffe wrote, one iteration of ours on the same batch.

Two runs of the same training drift apart by rounding alone, so only this shows whether an iteration
computes the same: both sides begin it with the same weights, history and data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from caffeflow.engine.feed import open_feed, record_shape
from caffeflow.engine.net import Net
from caffeflow.engine.snapshot import restore_snapshot
from caffeflow.engine.solver import Executor, Solver
from caffeflow.engine.training import Feeds, FusedExecutor
from caffeflow.proto.binary import read_caffemodel
from caffeflow.proto.net import train_net_of
from caffeflow.proto.text import read_solver
from tests.support.native_training import Trajectory

Arrays = dict[tuple[str, int], np.ndarray]


class MakeExecutor(Protocol):
    """Makes what runs the net, given the net and the iteration."""

    def __call__(self, net: Net, iteration: int, feeds: Feeds) -> Executor: ...


@dataclass(frozen=True, kw_only=True)
class ForcedStep:
    """How far one iteration of ours lies from Caffe's.

    Attributes:
        iteration: Updates done before it.
        loss: Difference of the losses, relative to Caffe's.
        updates: For each learned blob with an update: the norm of the difference of the two updates,
            relative to the norm of Caffe's.
    """

    iteration: int
    loss: float
    updates: dict[tuple[str, int], float]

    @property
    def worst_update(self) -> float:
        """The largest of `updates`."""
        return max(self.updates.values())


class ForcedRun:
    """Our engine beside a finished training of Caffe's.

    Args:
        trajectory: With a snapshot of every iteration, from 1 on.
        solver_path: The solver that Caffe ran.
    """

    def __init__(self, trajectory: Trajectory, solver_path: Path) -> None:
        parameters = read_solver(solver_path)
        role = train_net_of(parameters, solver_path=solver_path)
        self._trajectory = trajectory
        self._net = Net.of(role, record_shape=record_shape)
        self._executor = FusedExecutor(self._net)
        self._solver = Solver(
            parameters, self._net, self._executor, channels_last=self._executor.channels_last
        )
        self._batches = self._read()

    def steps(self, count: int) -> Iterator[ForcedStep]:
        """Yields a step from each of the snapshots 1 to `count`."""
        next(self._batches)  # Caffe spent the first batch on iteration 0, before its first snapshot
        for iteration in range(1, count + 1):
            feeds = next(self._batches)
            yield self.step(iteration, feeds, self._executor)

    def step(self, iteration: int, feeds: Feeds, executor: Executor) -> ForcedStep:
        """Returns how one iteration differs, run by `executor` on the batch `feeds`."""
        restore_snapshot(str(self._trajectory.state(iteration)), self._solver)
        assert self._solver.iteration == iteration
        before = self._weights()
        done = self._solver.step(lambda: feeds)
        ours = self._weights()
        theirs = weights_of(self._trajectory.weights(iteration + 1))
        expected = self._trajectory.losses[iteration]
        return ForcedStep(
            iteration=iteration,
            loss=abs(done.loss - expected) / abs(expected),
            updates=dict(_relative(before, ours, theirs)),
        )

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


torch.set_num_threads(1)
