"""What came of comparing a random net with Caffe: figures, their bounds, and what is not as in Caffe.

The one rule to know: a difference counts in parts of the largest entry of Caffe's array, or, where the
entries are sums of products, of the largest sum of absolute terms.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One thing that is not as in Caffe.

    Attributes:
        check: Which comparison found it.
        where: Layer and blob.
        what: The figure and its bound, or what was expected and found.
    """

    check: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.check}: {self.where}: {self.what}"


@dataclass
class Verdict:
    """What came of comparing one net.

    Attributes:
        worst: Comparison to its largest difference.
        compared: Comparison to the number of arrays.
        failures: What is not as in Caffe.
    """

    worst: dict[str, float] = field(default_factory=dict)
    compared: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def arrays(
        self, check: str, where: str, ours: np.ndarray, theirs: np.ndarray, *, bound: float, size: float = 0.0
    ) -> None:
        """Compares two arrays in parts of the largest entry, or of `size` where that is larger."""
        if ours.shape != theirs.shape:
            self.fail(check, where, f"expected shape {theirs.shape}, found {ours.shape}")
            return
        whole = max(largest(theirs), size)
        difference = float(np.abs(ours.astype(np.float64) - theirs).max(initial=0)) / (whole or 1.0)
        self.figure(check, where, difference, bound=bound)

    def figure(self, check: str, where: str, difference: float, *, bound: float) -> None:
        """Keeps one difference."""
        self.worst[check] = max(self.worst.get(check, 0.0), difference)
        self.compared[check] = self.compared.get(check, 0) + 1
        if not difference <= bound:
            self.fail(check, where, f"differs by {difference:.1e}, allowed is {bound:.0e}")

    def same(self, check: str, where: str, ours: object, theirs: object) -> None:
        """Compares what must be equal."""
        self.compared[check] = self.compared.get(check, 0) + 1
        if ours != theirs:
            self.fail(check, where, f"expected {theirs}, found {ours}")

    def fail(self, check: str, where: str, what: str) -> None:
        """Notes a failure."""
        self.failures.append(Failure(check=check, where=where, what=what))


def largest(array: np.ndarray | None) -> float:
    """Returns the largest absolute value; 0 where there is none."""
    return 0.0 if array is None else float(np.abs(array).max(initial=0))
