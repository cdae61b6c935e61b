"""What scripts ask of GPUs, of training in several processes, and of the clock."""

from __future__ import annotations

import time

from caffeflow.errors import UsageError
from caffeflow.layers.spec import SPECS


def layer_type_list() -> list[str]:
    """Returns the layer types that run here, in the order of their names."""
    return sorted(SPECS)


def has_nccl() -> bool:
    """Returns False: a script trains alone."""
    return False


class NCCL:
    """What adds up the gradients of several GPUs in Caffe; there is none here.

    Raises:
        UsageError: Always.
    """

    def __init__(self, *_: object) -> None:
        raise UsageError("NCCL: scripts train alone here; ask has_nccl() first")

    @staticmethod
    def new_uid() -> str:
        """Raises.

        Raises:
            UsageError: Always.
        """
        raise UsageError("NCCL.new_uid: scripts train alone here; ask has_nccl() first")


def solver_count() -> int:
    """Returns 1: a script trains alone."""
    return 1


def set_solver_count(count: int) -> None:
    """Takes 1 only.

    Raises:
        UsageError: Several solvers are wanted.
    """
    if count != 1:
        raise UsageError(f"set_solver_count({count}): scripts train alone here; leave it at 1")


def solver_rank() -> int:
    """Returns 0: a script trains alone."""
    return 0


def set_solver_rank(rank: int) -> None:
    """Takes 0 only.

    Raises:
        UsageError: Another rank is wanted.
    """
    if rank != 0:
        raise UsageError(f"set_solver_rank({rank}): scripts train alone here; leave it at 0")


def set_multiprocess(is_wanted: bool) -> None:
    """Takes False only.

    Raises:
        UsageError: Several processes are wanted.
    """
    if is_wanted:
        raise UsageError("set_multiprocess(True): scripts train alone here; leave it out")


class Timer:
    """A stop-watch."""

    def __init__(self) -> None:
        self._begin = self._end = 0.0

    def start(self) -> None:
        """Begins anew."""
        self._begin = self._end = time.perf_counter()

    def stop(self) -> None:
        """Keeps the time that has passed."""
        self._end = time.perf_counter()

    @property
    def ms(self) -> float:
        """Milliseconds between start and stop."""
        return (self._end - self._begin) * 1000
