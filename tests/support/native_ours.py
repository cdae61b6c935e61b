"""Training with our engine as the native tests need it: plainly, from given weights, for some iterations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.feed.sources import record_shape
from caffeflow.engine.net import Net
from caffeflow.engine.snapshot import SnapshotFiles, restore_snapshot, write_snapshot
from caffeflow.engine.solver import Iteration, NextFeeds, Solver
from caffeflow.engine.testing import TestPass
from caffeflow.engine.training import FusedExecutor
from caffeflow.proto.binary import read_caffemodel, write_caffemodel
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.net import NetRole, filter_net, net_state, train_net_of
from caffeflow.proto.text import read_net, read_solver


def write_initial_weights(solver: Path, weights: Path) -> None:
    """Writes a caffemodel of the train net as our fillers fill it."""
    net = _train_net(solver)
    write_caffemodel(weights, name=net.graph.name, layers=net.arrays())


def train_ours(solver: Path, *, iterations: int, weights: Path) -> tuple[list[float], SnapshotFiles]:
    """Trains from a caffemodel; returns the smoothed losses and a snapshot of the end."""
    ours, done = solve_ours(solver, iterations=iterations, weights=weights)
    return [each.smoothed for each in done], write_ours(solver, ours)


def write_ours(solver: Path, ours: Solver) -> SnapshotFiles:
    """Writes a snapshot of ours in the solver's format, beside those that Caffe writes."""
    parameters = read_solver(solver)
    hdf5 = parameters.snapshot_format == SolverParameter.HDF5
    return write_snapshot(f"{parameters.snapshot_prefix}_ours", ours, positions={}, hdf5=hdf5)


def solve_ours(
    solver: Path, *, iterations: int, weights: Path | None = None, snapshot: Path | None = None
) -> tuple[Solver, list[Iteration]]:
    """Trains by Caffe's rules (data from record 0); returns the solver where it stands, and each iteration."""
    parameters = read_solver(solver)
    net = _train_net(solver)
    executor = FusedExecutor(net)
    ours = Solver(parameters, net, executor, channels_last=executor.channels_last)
    if weights is not None:
        net.load(read_caffemodel(weights))
    if snapshot is not None:
        restore_snapshot(str(snapshot), ours)
    with _batches(net, "TRAIN") as next_feeds:
        return ours, [ours.step(next_feeds) for _ in range(iterations)]


def test_ours(net_path: Path, weights: Path, *, iterations: int) -> dict[str, float]:
    """Returns the mean of each output of the test net."""
    net_file = read_net(net_path)
    state = net_state("TEST")
    role = NetRole(net_file=net_file, net=filter_net(net_file.net, state), state=state, label="test net")
    net = Net.of(role, record_shape=record_shape)
    net.load(read_caffemodel(weights))
    with _batches(net, "TEST") as next_feeds:
        scores = TestPass(FusedExecutor(net), next_feeds, iterations=iterations).run()
    assert scores is not None
    return {element.blob: element.value for element in scores.elements}


test_ours.__test__ = False  # type: ignore[attr-defined]


def _train_net(solver: Path) -> Net:
    return Net.of(train_net_of(read_solver(solver), solver_path=solver), record_shape=record_shape)


@contextmanager
def _batches(net: Net, phase: str) -> Iterator[NextFeeds]:
    feeds = {layer.name: open_feed(layer.facts.node.layer, phase=phase, seed=0) for layer in net.fed}
    try:
        yield lambda: {name: feed.next() for name, feed in feeds.items()}
    finally:
        for feed in feeds.values():
            feed.close()
