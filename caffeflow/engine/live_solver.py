"""A solver in its user's hands: its nets can be read and written between any two iterations.

The one rule to know: an iteration is what `loop` and `solver` do in every other run; only the nets run
layer by layer, on the data that their own layers bring.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from caffeflow.engine.debug_info import DebugLines, with_splits
from caffeflow.engine.detection import NewTally
from caffeflow.engine.lines import LogLine
from caffeflow.engine.live_net import LiveNet
from caffeflow.engine.loop import Run, Shown, Tested
from caffeflow.engine.net import Net
from caffeflow.engine.policies import Rate
from caffeflow.engine.session import check_solver
from caffeflow.engine.signals import Requests
from caffeflow.engine.snapshot import SnapshotFiles, restore_snapshot
from caffeflow.engine.snapshot_formats import hdf5_remarks
from caffeflow.engine.solver import Solver
from caffeflow.engine.testing import TestPass
from caffeflow.engine.training import Feeds, Result
from caffeflow.engine.updates import Clipped
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.net import NetRole

Call = Callable[[], object]


class LiveSolver:
    """A solver with its nets, on the CPU.

    Args:
        parameters: The solver's fields; base_lr and others may be changed on the way.
        train: The net to train.
        tests: The nets to test, in the solver's order.
        seed: Of the train net's fillers, dropout, crops and mirrors.
        on_line: Gets the lines of the log.
        new_tally: What takes the rows of tests of detections; for solvers with that eval_type.

    Raises:
        NetError: A solver or net that Caffe would refuse, or a field that is not honoured here.
        DataError: A source that cannot be read.
    """

    def __init__(
        self,
        parameters: SolverParameter,
        train: NetRole,
        tests: Sequence[NetRole],
        *,
        seed: int,
        on_line: Callable[[LogLine], None],
        new_tally: NewTally | None = None,
    ) -> None:
        check_solver(parameters)
        shows = parameters.debug_info
        self.net: Final = LiveNet(with_splits(train) if shows else train, seed=seed)
        if parameters.snapshot_format == SolverParameter.HDF5:
            for line in hdf5_remarks(self.net.net):
                on_line(line)
        self.test_nets: Final = [LiveNet(with_splits(role) if shows else role, seed=seed) for role in tests]
        for net, role in zip(self.test_nets, tests, strict=True):
            net.share(self.net)
            if shows:
                _debug_lines(net, role, on_line).show(True)
        self._callbacks: Final[list[tuple[Call, Call]]] = []
        self._lines: Final = _debug_lines(self.net, train, on_line) if shows else None
        runner = _Runner(self.net, self._lines)
        self._solver: Final = _UpdatesInDiff(
            parameters, self.net.net, runner, reduce=self._ready, on_start=self._start
        )
        self._run: Final = Run(
            parameters,
            self._solver,
            next_feeds=dict,  # the nets bring their own data
            tests=[
                TestPass(_Runner(net), dict, iterations=iterations, new_tally=new_tally)
                for net, iterations in zip(self.test_nets, parameters.test_iter, strict=True)
            ],
            snapshot_prefix=parameters.snapshot_prefix,
            positions=lambda: None,
            listener=_Lines(on_line),
            requests=Requests(),
        )

    @property
    def iteration(self) -> int:
        """How many updates were done."""
        return self._solver.iteration

    @property
    def rate(self) -> float:
        """The learning rate of the coming iteration."""
        policy = self._solver.rate
        before = replace(policy.state)
        found = policy.at(self.iteration, self._solver.smoothed.value).value
        policy.state = before
        return found

    def add_callback(self, on_start: Call, on_gradients_ready: Call) -> None:
        """Calls one function when an iteration begins, the other when its gradients are there."""
        self._callbacks.append((on_start, on_gradients_ready))

    def step(self, count: int) -> None:
        """Does so many iterations.

        Raises:
            NonFiniteLossError: The loss is no number; nothing was updated with it.
        """
        self._solver.smoothed.clear()  # Caffe: each Step begins a new window (solver.cpp)
        self._run.advance(count)

    def solve(self) -> None:
        """Goes on to max_iter.

        Raises:
            NonFiniteLossError: The loss is no number; nothing was updated with it.
        """
        self._solver.smoothed.clear()
        self._run.solve()

    def apply_update(self) -> None:
        """Moves the weights by the gradients as they are; that is an iteration, as in Caffe."""
        self._solver.apply_update()
        self._solver.iteration += 1

    def snapshot(self) -> None:
        """Writes weights and history."""
        self._run.snapshot()

    def restore(self, solverstate: str) -> None:
        """Goes on from a solverstate.

        Raises:
            WeightsError: It is incomplete, or belongs to another net or solver.
        """
        restore_snapshot(solverstate, self._solver)

    def share_weights(self, net: LiveNet) -> None:
        """Takes over the learned blobs of another net, which then sees every update.

        Raises:
            WeightsError: A layer of the same name has other blobs.
        """
        self.net.load(net.arrays())
        net.share(self.net)

    def _start(self) -> None:
        if self._lines is not None:
            self._lines.show(self._solver.is_displayed)
        for on_start, _ in self._callbacks:
            on_start()

    def _ready(self, _gradient: Tensor) -> None:
        for _, on_gradients_ready in self._callbacks:
            on_gradients_ready()


def _debug_lines(net: LiveNet, role: NetRole, on_line: Callable[[LogLine], None]) -> DebugLines:
    return DebugLines(net.executor, on_line, force_backward=role.net.force_backward)


class _UpdatesInDiff(Solver):
    """Leaves in the gradients what was taken off the weights, as Caffe does: scripts look at its norm."""

    def apply_update(self) -> tuple[Rate, Clipped | None]:
        """Moves the weights by the gradients as they are."""
        before = self.flat.data.clone()
        made = super().apply_update()
        torch.sub(before, self.flat.data, out=self.flat.grad)
        return made


class _Runner:
    """Runs a live net as solvers run nets."""

    def __init__(self, live: LiveNet, debug_lines: DebugLines | None = None) -> None:
        self._live: Final = live
        self._debug_lines: Final = debug_lines

    @property
    def net(self) -> Net:
        """The net."""
        return self._live.net

    def forward(self, _feeds: Feeds) -> Result:
        """Runs the net on the next batch of its data layers."""
        return self._live.run()

    def backward(self) -> None:
        """Adds the gradients to those of the learned blobs."""
        self._live.executor.backward()
        if self._debug_lines is not None:
            self._debug_lines.after_backward()


class _Lines:
    """Passes on the lines of a run, and nothing else."""

    def __init__(self, on_line: Callable[[LogLine], None]) -> None:
        self._on_line: Final = on_line

    def line(self, line: LogLine) -> None:
        """A line of Caffe's log."""
        self._on_line(line)

    def shown(self, shown: Shown) -> None:
        """An iteration that is displayed."""

    def tested(self, tested: Tested) -> None:
        """A test pass is over."""

    def iterated(self, done: int) -> None:
        """So many updates are done."""

    def snapshotted(self, files: SnapshotFiles) -> None:
        """A snapshot is complete."""
