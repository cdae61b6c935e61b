"""Tile: the bottom `tiles` times, one after the other along `axis`.

Caffe: the axis is 1 unless set, and `tiles` has no default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import canonical_axis
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class TileParams:
    """The settings of Tile."""

    axis: int
    tiles: int

    @classmethod
    def read(cls, layer: LayerParameter) -> TileParams:
        """Reads `tile_param`."""
        param = layer.tile_param
        if param.tiles < 1:
            found = f"tiles is {param.tiles}" if param.HasField("tiles") else "tiles is missing"
            raise NetError(f"{found} in tile_param; it must be at least 1")
        return cls(axis=param.axis, tiles=param.tiles)


def shapes(params: TileParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the bottom's shape with a longer axis."""
    (bottom,) = bottoms
    axis = canonical_axis(params.axis, len(bottom))
    return [(*bottom[:axis], bottom[axis] * params.tiles, *bottom[axis + 1 :])]


register(LayerSpec(type="Tile", read=TileParams.read, shapes=shapes))
