"""How far two trainings lie apart when they are done: in their learned blobs and in their histories."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffeflow.engine.snapshot_formats import read_state
from caffeflow.engine.solver import Solver
from caffeflow.proto.binary import LayerArrays
from caffeflow.weights.formats import read_weights


@dataclass(frozen=True, kw_only=True)
class Apart:
    """The largest differences, each relative to the largest entry of its blob."""

    weights: float
    history: float

    def __str__(self) -> str:
        return f"{self.weights:.0e}, {self.history:.0e}"


@dataclass(frozen=True, kw_only=True)
class Solved:
    """Where a training stands."""

    weights: dict[str, tuple[np.ndarray, ...]]
    history: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, solver: Solver) -> Solved:
        """Returns what a solver of ours holds."""
        return cls(weights=_by_name(solver.net.arrays()), history=tuple(solver.update.history()))

    @classmethod
    def read(cls, weights: str | Path, state: str | Path) -> Solved:
        """Returns what the two files of a snapshot hold."""
        return cls(weights=_by_name(read_weights(weights)), history=read_state(str(state)).history)

    def apart_from(self, other: Solved) -> Apart:
        """Returns how far this lies from another."""
        assert set(self.weights) == set(other.weights)
        return Apart(
            weights=max(furthest(arrays, other.weights[name]) for name, arrays in self.weights.items()),
            history=furthest(self.history, other.history),
        )


def worst(found: Iterable[Apart]) -> Apart:
    """Returns the largest of each."""
    listed = list(found)
    return Apart(weights=max(each.weights for each in listed), history=max(each.history for each in listed))


def furthest(ours: Iterable[np.ndarray], theirs: Iterable[np.ndarray]) -> float:
    """Returns the largest difference between blobs, relative to the largest entry of the second one's."""
    return max(_difference(mine, other) for mine, other in zip(ours, theirs, strict=True))


def _difference(mine: np.ndarray, other: np.ndarray) -> float:
    assert mine.shape == other.shape
    assert np.isfinite(mine).all()
    assert np.isfinite(other).all()
    largest = float(np.abs(other).max())
    difference = float(np.abs(mine.astype(np.float64) - other).max())
    return difference / largest if largest else float(difference > 0)


def _by_name(layers: Iterable[LayerArrays]) -> dict[str, tuple[np.ndarray, ...]]:
    return {layer.name: layer.arrays for layer in layers if layer.arrays}
