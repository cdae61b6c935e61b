"""Two files of weights, layer by layer: equal, different and by how much, or on one side only.

The one rule to know: equal means every bit, so that equal nan are equal; a tolerance is the largest
absolute difference that passes, and a nan on one side never does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from caffeflow.proto.binary import Array, LayerArrays
from caffeflow.proto.matching import Shape, is_legacy_of

State = Literal["equal", "within tolerance", "different", "other shapes", "first only", "second only"]


@dataclass(frozen=True, kw_only=True)
class LayerDifference:
    """How a layer of one file compares with that of another.

    Attributes:
        layer: Its name.
        state: What it comes to.
        first: The shapes of its blobs in the first file; empty where it is not there.
        second: In the second file.
        largest: The largest absolute difference of a value; nan where it cannot be said.
        relative: The L2 norm of the difference as a share of the first one's norm; likewise.
    """

    layer: str
    state: State
    first: tuple[Shape, ...] = ()
    second: tuple[Shape, ...] = ()
    largest: float = math.nan
    relative: float = math.nan

    @property
    def passes(self) -> bool:
        """Whether the layer counts as the same."""
        return self.state in ("equal", "within tolerance")


def compare_layers(
    first: Sequence[LayerArrays], second: Sequence[LayerArrays], *, tolerance: float = 0.0
) -> list[LayerDifference]:
    """Returns a row for each layer with blobs, in the first file's order, then the second's own layers."""
    ours, theirs = _by_name(first), _by_name(second)
    rows = [_row(name, arrays, theirs.get(name), tolerance) for name, arrays in ours.items()]
    for name, arrays in theirs.items():
        if name not in ours:
            rows.append(LayerDifference(layer=name, state="second only", second=_shapes(arrays)))
    return rows


def _row(
    name: str, ours: Sequence[Array], theirs: Sequence[Array] | None, tolerance: float
) -> LayerDifference:
    if theirs is None:
        return LayerDifference(layer=name, state="first only", first=_shapes(ours))
    first, second = _shapes(ours), _shapes(theirs)
    if len(ours) != len(theirs) or not all(map(_same_shape, first, second)):
        return LayerDifference(layer=name, state="other shapes", first=first, second=second)
    pairs = [(mine, its.reshape(mine.shape)) for mine, its in zip(ours, theirs, strict=True)]
    if all(mine.tobytes() == its.tobytes() for mine, its in pairs):
        return LayerDifference(
            layer=name, state="equal", first=first, second=second, largest=0.0, relative=0.0
        )
    largest, relative = _distance(pairs)
    state: State = "within tolerance" if largest <= tolerance else "different"
    return LayerDifference(
        layer=name, state=state, first=first, second=second, largest=largest, relative=relative
    )


def _distance(pairs: Sequence[tuple[Array, Array]]) -> tuple[float, float]:
    """Returns the largest absolute and the relative L2 difference over the blobs of a layer."""
    largest = square = norm = 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        for mine, its in pairs:
            # Values of equal bits differ by nothing, also where they are nan or infinite.
            differs = mine.view(np.uint32) != its.view(np.uint32)
            gap = np.where(differs, mine.astype(np.float64) - its, 0.0)
            largest = (
                float(np.fmax(largest, np.abs(gap).max(initial=0))) if np.isfinite(gap).all() else math.nan
            )
            if math.isnan(largest):
                return math.nan, math.nan
            square += float((gap * gap).sum())
            norm += float(np.square(np.where(np.isfinite(mine), mine, 0), dtype=np.float64).sum())
    return largest, math.sqrt(square / norm) if norm else math.inf


def _by_name(layers: Sequence[LayerArrays]) -> dict[str, tuple[Array, ...]]:
    found: dict[str, tuple[Array, ...]] = {}
    for layer in layers:
        if layer.arrays:
            found.setdefault(layer.name, layer.arrays)
    return found


def _shapes(arrays: Sequence[Array]) -> tuple[Shape, ...]:
    return tuple(array.shape for array in arrays)


def _same_shape(one: Shape, other: Shape) -> bool:
    return one == other or is_legacy_of(one, other) or is_legacy_of(other, one)
