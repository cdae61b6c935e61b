"""Training with the real Caffe and keeping everything it writes: losses of each iteration, snapshots."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.native import NativeCaffe

_NUMBER: Final = r"(-?(?:[\d.]+(?:e[+-]?\d+)?|nan|inf))"
_LOSS: Final = re.compile(rf"\] Iteration (\d+)(?: \(.*?\))?, loss = {_NUMBER}", re.IGNORECASE)
_RATE: Final = re.compile(r"\] Iteration (\d+), lr = (\S+)")
_TEST: Final = re.compile(rf"\] +Test net output #\d+: (\S+) = {_NUMBER}", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """What one training left behind.

    Attributes:
        prefix: The snapshots' names up to `_iter_<n>`.
        log: All its lines.
    """

    prefix: Path
    log: str

    @property
    def losses(self) -> dict[int, float]:
        """Loss of each displayed iteration, as printed: six digits."""
        return {int(iteration): float(loss) for iteration, loss in _LOSS.findall(self.log)}

    @property
    def rates(self) -> dict[int, str]:
        """Learning rate of each displayed iteration, as printed."""
        return {int(iteration): rate for iteration, rate in _RATE.findall(self.log)}

    @property
    def test_outputs(self) -> dict[str, list[float]]:
        """Every printed value of each test output, in the order of the log."""
        outputs: dict[str, list[float]] = {}
        for name, value in _TEST.findall(self.log):
            outputs.setdefault(name, []).append(float(value))
        return outputs

    def weights(self, iteration: int) -> Path:
        """The caffemodel after that many updates."""
        return self.prefix.with_name(f"{self.prefix.name}_iter_{iteration}.caffemodel")

    def state(self, iteration: int) -> Path:
        """The solverstate after that many updates."""
        return self.prefix.with_name(f"{self.prefix.name}_iter_{iteration}.solverstate")


def train(
    caffe: NativeCaffe,
    *,
    net: Path,
    fields: str,
    folder: Path,
    arguments: tuple[str, ...] = (),
    threads: int = 1,
) -> Trajectory:
    """Trains a net and returns what came of it.

    Args:
        caffe: The real Caffe.
        net: The net's file, with absolute paths in it.
        fields: The solver's fields beside net, snapshot_prefix, solver_mode and random_seed.
        folder: Where solver and snapshots go; made if missing.
        arguments: More of the command line, such as `-weights=…`.
        threads: Of BLAS.
    """
    folder.mkdir(parents=True, exist_ok=True)
    solver = folder / "solver.prototxt"
    prefix = folder / "snapshot"
    solver.write_text(
        f'net: "{net}"\nsnapshot_prefix: "{prefix}"\nsolver_mode: CPU\nrandom_seed: 1\n{fields}\n'
    )
    log = caffe.run("caffe", "train", f"-solver={solver}", *arguments, cwd=folder, threads=threads)
    return Trajectory(prefix=prefix, log=log)
