"""What a copy by name would do, layer by layer, before any net is built.

The rule itself is `caffeflow.proto.matching`'s, which stops at the first layer that does not fit; here
every layer gets its row, and those that do not fit say why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from caffeflow.errors import WeightsError
from caffeflow.proto.binary import LayerArrays
from caffeflow.proto.matching import Shape, match

State = Literal["copied", "new", "skipped", "mismatched"]


@dataclass(frozen=True, kw_only=True)
class CopyRow:
    """What becomes of one layer.

    Attributes:
        layer: Its name.
        shapes: Of its learned blobs: the net's, or the file's if the net has no such layer.
        state: `copied`, `new` (the net's only, from its fillers), `skipped` (the file's only) or
            `mismatched` (Caffe would stop).
        reason: What does not fit; empty unless mismatched.
    """

    layer: str
    shapes: tuple[Shape, ...]
    state: State
    reason: str = ""


@dataclass(frozen=True)
class CopyTable:
    """The rows: the net's layers in its order, then those that only the file has."""

    rows: tuple[CopyRow, ...]

    def layers(self, state: State) -> list[str]:
        """Returns the layers of a state."""
        return [row.layer for row in self.rows if row.state == state]

    def count(self, state: State) -> int:
        """Returns how many layers are in a state."""
        return len(self.layers(state))


def copy_table(source: Sequence[LayerArrays], target: Mapping[str, Sequence[Shape]]) -> CopyTable:
    """Returns what copying a file's layers into a net would do.

    Args:
        source: The file's layers.
        target: Layer name to the shapes of its learned blobs.
    """
    held: dict[str, LayerArrays] = {}
    for layer in source:
        held[layer.name] = layer  # as in Caffe, the last of a name stays
    rows = [
        _row(held.get(name), name, tuple(tuple(shape) for shape in shapes))
        for name, shapes in target.items()
        if shapes or (name in held and held[name].arrays)
    ]
    rows += [
        CopyRow(layer=name, shapes=tuple(array.shape for array in layer.arrays), state="skipped")
        for name, layer in held.items()
        if layer.arrays and name not in target
    ]
    return CopyTable(tuple(rows))


def unusable(source: Iterable[LayerArrays], names: Iterable[str]) -> list[str]:
    """Returns those of the named layers that hold nan or infinite values."""
    wanted = set(names)
    return [
        layer.name
        for layer in source
        if layer.name in wanted and not all(bool(np.isfinite(array).all()) for array in layer.arrays)
    ]


def _row(source: LayerArrays | None, name: str, shapes: tuple[Shape, ...]) -> CopyRow:
    if source is None:
        return CopyRow(layer=name, shapes=shapes, state="new")
    try:
        match([source], {name: shapes})
    except WeightsError as error:
        return CopyRow(layer=name, shapes=shapes, state="mismatched", reason=str(error))
    return CopyRow(layer=name, shapes=shapes, state="copied")
