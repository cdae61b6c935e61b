"""The solvers: `SGDSolver` … `AdamSolver`, and `get_solver`, which reads the type in the file.

Names and behaviour are those of BVLC's pycaffe; a loss that is no number ends the training, before
anything is updated with it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from caffeflow.engine import lines
from caffeflow.engine.live_solver import LiveSolver
from caffeflow.engine.python_layers import allowed
from caffeflow.evaluate.detection import find_tally
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.net import test_nets_of as nets_to_test
from caffeflow.proto.net import train_net_of
from caffeflow.proto.text import read_solver
from caffeflow.pycaffe import mode
from caffeflow.pycaffe.net import Net
from caffeflow.weights.listed import split_files

Call = Callable[[], object]


class Solver:
    """A solver of a file: the net that it trains, those that it tests, and what moves the weights.

    Args:
        solver_file: The prototxt.

    Attributes:
        net: The train net.
        test_nets: The test nets, which use its weights.
        param: The solver's fields.

    Raises:
        NetError: The solver, or one of its nets, is one that Caffe would refuse or that cannot run here.
        DataError: A source that cannot be read.
        WeightsError: The solver's weights are missing, or do not fit.
    """

    type: ClassVar[str] = ""

    def __init__(self, solver_file: str | Path) -> None:
        self.param: SolverParameter = read_solver(solver_file)
        if self.type:
            self.param.type = self.type  # Caffe: the class decides, whatever the file says
        path = Path(solver_file)
        seed = self.param.random_seed if self.param.random_seed >= 0 else mode.next_seed()
        train, tests = train_net_of(self.param, solver_path=path), nets_to_test(self.param, solver_path=path)
        with allowed():
            self._live = LiveSolver(
                self.param, train, tests, seed=seed, on_line=mode.show, new_tally=find_tally(self.param)
            )
        self.net = Net.of(self._live.net)
        self.test_nets = [Net.of(live) for live in self._live.test_nets]
        for name in split_files(self.param.weights):
            mode.show(lines.finetuning(name))
            for net in (self.net, *self.test_nets):
                net.copy_from(name)

    @property
    def iter(self) -> int:
        """How many updates were done."""
        return self._live.iteration

    @property
    def lr(self) -> float:
        """The learning rate of the coming iteration."""
        return self._live.rate

    def step(self, iterations: int) -> None:
        """Does so many iterations, with the tests and snapshots that are due among them."""
        self._live.step(iterations)

    def solve(self, resume_file: str | Path | None = None) -> None:
        """Trains until max_iter, from where it stands or from a solverstate."""
        if resume_file is not None:
            self.restore(resume_file)
        self._live.solve()

    def apply_update(self) -> None:
        """Moves the weights by the diffs of the learned blobs as they are, and counts an iteration."""
        self._live.apply_update()

    def snapshot(self) -> None:
        """Writes a caffemodel and a solverstate under snapshot_prefix."""
        self._live.snapshot()

    def restore(self, solverstate: str | Path) -> None:
        """Goes on from a solverstate and the weights that it names."""
        self._live.restore(str(solverstate))

    def add_callback(self, on_start: Call, on_gradients_ready: Call) -> None:
        """Calls one function when an iteration begins, the other when its gradients are there."""
        self._live.add_callback(on_start, on_gradients_ready)

    def share_weights(self, net: Net) -> None:
        """Trains the learned blobs of another net from now on, together with its own."""
        self._live.share_weights(net._live)


class SGDSolver(Solver):
    """Momentum."""

    type = "SGD"


class NesterovSolver(Solver):
    """Nesterov's accelerated gradient."""

    type = "Nesterov"


class AdaGradSolver(Solver):
    """AdaGrad."""

    type = "AdaGrad"


class RMSPropSolver(Solver):
    """RMSProp."""

    type = "RMSProp"


class AdaDeltaSolver(Solver):
    """AdaDelta."""

    type = "AdaDelta"


class AdamSolver(Solver):
    """Adam."""

    type = "Adam"


_SOLVERS = (SGDSolver, NesterovSolver, AdaGradSolver, RMSPropSolver, AdaDeltaSolver, AdamSolver)


def get_solver(solver_file: str | Path) -> Solver:
    """Returns the solver of the type that the file names.

    Raises:
        NetError: There is no such type.
    """
    wanted = read_solver(solver_file).type
    for kind in _SOLVERS:
        if kind.type == wanted:
            return kind(solver_file)
    return Solver(solver_file)  # which says what types there are
