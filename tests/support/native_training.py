"""Training with the real Caffe and keeping everything it writes: losses of each iteration, snapshots."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.text import format_message, parse, read_solver
from tests.support.native import NativeCaffe

_NUMBER: Final = r"(-?(?:[\d.]+(?:e[+-]?\d+)?|nan|inf))"
_LOSS: Final = re.compile(rf"\] Iteration (\d+)(?: \(.*?\))?, loss = {_NUMBER}", re.IGNORECASE)
_RATE: Final = re.compile(r"\] Iteration (\d+), lr = (\S+)")
_STEP: Final = re.compile(r"\] (MultiStep Status: .*)")
_TEST: Final = re.compile(rf"\] +Test net output #\d+: (\S+) = {_NUMBER}", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """What one training left behind.

    Attributes:
        solver: The solver's file.
        prefix: The snapshots' names up to `_iter_<n>`.
        log: All its lines.
        ending: What the snapshots' names end in: `.h5` for HDF5.
    """

    solver: Path
    prefix: Path
    log: str
    ending: str = ""

    @property
    def losses(self) -> dict[int, float]:
        """Loss of each displayed iteration, as printed: six digits."""
        return {int(iteration): float(loss) for iteration, loss in _LOSS.findall(self.log)}

    @property
    def rates(self) -> dict[int, str]:
        """Learning rate of each displayed iteration, as printed."""
        return {int(iteration): rate for iteration, rate in _RATE.findall(self.log)}

    @property
    def steps(self) -> list[str]:
        """What the policy multistep had to say."""
        return _STEP.findall(self.log)

    @property
    def test_outputs(self) -> dict[str, list[float]]:
        """Every printed value of each test output, in the order of the log."""
        outputs: dict[str, list[float]] = {}
        for name, value in _TEST.findall(self.log):
            outputs.setdefault(name, []).append(float(value))
        return outputs

    def weights(self, iteration: int) -> Path:
        """The caffemodel after that many updates."""
        return self.prefix.with_name(f"{self.prefix.name}_iter_{iteration}.caffemodel{self.ending}")

    def state(self, iteration: int) -> Path:
        """The solverstate after that many updates."""
        return self.prefix.with_name(f"{self.prefix.name}_iter_{iteration}.solverstate{self.ending}")


def write_solver(path: Path, *, net: Path, fields: str) -> Path:
    """Writes a solver for the CPU with a fixed seed; snapshots go beside it, called `snapshot`."""
    solver = parse(fields, SolverParameter(), source=path.name)
    return _write(path, solver, net=net)


def adapt_solver(rendered: Path, path: Path, **changes: Any) -> Path:
    """Writes a rendered solver with some fields changed, and without tests; None clears a field."""
    solver = read_solver(rendered)
    net = Path(solver.net)
    for name in ("test_iter", "test_interval", "test_initialization"):
        changes.setdefault(name, None)
    for name, value in changes.items():
        solver.ClearField(name)  # type: ignore[arg-type]
        if value is not None:
            setattr(solver, name, value)
    return _write(path, solver, net=net)


def train(
    caffe: NativeCaffe, solver: Path, *arguments: str, cwd: Path | None = None, threads: int = 1
) -> Trajectory:
    """Trains by a solver's file and returns what came of it.

    Args:
        caffe: The real Caffe.
        solver: The file, with absolute paths in it.
        arguments: More of the command line, such as `-weights=…`.
        cwd: Folder to run in; the solver's own if None.
        threads: Of BLAS; one, so that numbers repeat.
    """
    words = ["train", f"-solver={solver}", *arguments]
    log = caffe.run("caffe", *words, cwd=cwd or solver.parent, threads=threads)
    return left_behind(solver, log)


def left_behind(solver: Path, log: str) -> Trajectory:
    """Returns what a training by a solver's file has left, given its log."""
    parameters = read_solver(solver)
    ending = ".h5" if parameters.snapshot_format == SolverParameter.HDF5 else ""
    return Trajectory(solver=solver, prefix=Path(parameters.snapshot_prefix), log=log, ending=ending)


def _write(path: Path, solver: SolverParameter, *, net: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    solver.net = str(net)
    solver.snapshot_prefix = str(path.parent / "snapshot")
    solver.solver_mode = SolverParameter.CPU
    solver.random_seed = 1
    path.write_text(format_message(solver))
    return path
