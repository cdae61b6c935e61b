"""Concat, Slice and Split: bottoms joined along an axis, cut along an axis, or handed to several readers.

`concat_dim` and `slice_dim` are older names of `axis`; only one of the two may be given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from caffeflow.errors import NetError
from caffeflow.layers.params import canonical_axis, dims
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import ConcatParameter, LayerParameter, SliceParameter


@dataclass(frozen=True, kw_only=True)
class ConcatParams:
    """The settings of Concat."""

    axis: int

    @classmethod
    def read(cls, layer: LayerParameter) -> ConcatParams:
        """Reads `concat_param`."""
        return cls(axis=_read_axis(layer.concat_param, "concat_dim"))


@dataclass(frozen=True, kw_only=True)
class SliceParams:
    """The settings of Slice.

    Attributes:
        points: Where to cut; empty: into equal parts.
        tops: How many parts.
    """

    axis: int
    points: tuple[int, ...]
    tops: int

    @classmethod
    def read(cls, layer: LayerParameter) -> SliceParams:
        """Reads `slice_param`."""
        points, tops = tuple(layer.slice_param.slice_point), len(layer.top)
        if points and len(points) != tops - 1:
            raise NetError(
                f"{len(points)} slice_point for {tops} tops; give {tops - 1}, or none for equal parts"
            )
        if any(after <= before for before, after in pairwise((0, *points))):
            raise NetError(
                f"slice_point {', '.join(map(str, points))} must be above 0 and strictly increasing"
            )
        return cls(axis=_read_axis(layer.slice_param, "slice_dim"), points=points, tops=tops)


def _read_axis(param: ConcatParameter | SliceParameter, older: str) -> int:
    if not param.HasField(older):
        return param.axis
    if param.HasField("axis"):
        raise NetError(f"both axis and {older} are given; give axis")
    axis: int = getattr(param, older)
    return axis


def concat_shapes(params: ConcatParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the first bottom's shape with the sizes along the axis added up."""
    first = bottoms[0]
    axis = canonical_axis(params.axis, len(first))
    for bottom in bottoms[1:]:
        if len(bottom) != len(first) or _without(bottom, axis) != _without(first, axis):
            raise NetError(
                f"all inputs must have the same shape, except at concat axis {axis};"
                f" found {dims(first)} and {dims(bottom)}"
            )
    return [(*first[:axis], sum(bottom[axis] for bottom in bottoms), *first[axis + 1 :])]


def _without(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]


def slice_sizes(params: SliceParams, bottom: Shape) -> list[int]:
    """Returns the size of each part along the axis.

    Raises:
        NetError: The parts would not be equal, or a cut lies beyond the bottom.
    """
    size = bottom[canonical_axis(params.axis, len(bottom))]
    if not params.points and size % params.tops:
        raise NetError(
            f"{params.tops} equal parts do not fit {size} along axis {params.axis}; give slice_point"
        )
    if not params.points:
        return [size // params.tops] * params.tops
    if params.points[-1] >= size:
        raise NetError(f"slice_point {params.points[-1]} lies beyond axis {params.axis}, which has {size}")
    return [after - before for before, after in pairwise((0, *params.points, size))]


def slice_shapes(params: SliceParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns one shape for each part."""
    (bottom,) = bottoms
    axis = canonical_axis(params.axis, len(bottom))
    return [(*bottom[:axis], size, *bottom[axis + 1 :]) for size in slice_sizes(params, bottom)]


def count_tops(layer: LayerParameter) -> int:
    """The params of Split: how many tops."""
    return len(layer.top)


def split_shapes(tops: int, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the bottom's shape for each top."""
    return [bottoms[0]] * tops


register(LayerSpec(type="Concat", bottoms=(1, None), read=ConcatParams.read, shapes=concat_shapes))
register(LayerSpec(type="Slice", tops=(1, None), read=SliceParams.read, shapes=slice_shapes))
register(LayerSpec(type="Split", tops=(1, None), read=count_tops, shapes=split_shapes))
