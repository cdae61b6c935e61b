"""Flatten and Reshape: the same values under another shape.

Reshape's dims: 0 keeps the bottom's size at that place, -1 (once) takes what is left, anything else is
literal; `axis` and `num_axes` say which run of axes is replaced, -1 for `axis` standing for the very end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import canonical_axis, count, dims
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class FlattenParams:
    """The settings of Flatten: the first and the last axis that become one."""

    axis: int
    end_axis: int

    @classmethod
    def read(cls, layer: LayerParameter) -> FlattenParams:
        """Reads `flatten_param`."""
        return cls(axis=layer.flatten_param.axis, end_axis=layer.flatten_param.end_axis)


def flatten_shapes(params: FlattenParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the shape with the axes merged."""
    (bottom,) = bottoms
    start = canonical_axis(params.axis, len(bottom))
    end = canonical_axis(params.end_axis, len(bottom), field="end_axis")
    if end < start:
        raise NetError(f"end_axis {params.end_axis} comes before axis {params.axis}")
    return [(*bottom[:start], count(bottom[start : end + 1]), *bottom[end + 1 :])]


@dataclass(frozen=True, kw_only=True)
class ReshapeParams:
    """The settings of Reshape."""

    dims: Shape
    axis: int
    num_axes: int

    @classmethod
    def read(cls, layer: LayerParameter) -> ReshapeParams:
        """Reads `reshape_param`."""
        param = layer.reshape_param
        new = tuple(int(dim) for dim in param.shape.dim)
        if new.count(-1) > 1:
            raise NetError(f"shape {dims(new)} has more than one -1")
        if any(dim < -1 for dim in new):
            raise NetError(f"shape {dims(new)} has a dimension below -1")
        if param.num_axes < -1:
            raise NetError(f"num_axes is {param.num_axes}; it must be -1 or more")
        return cls(dims=new, axis=param.axis, num_axes=param.num_axes)


def reshape_shapes(params: ReshapeParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the new shape."""
    (bottom,) = bottoms
    start = params.axis if params.axis >= 0 else len(bottom) + params.axis + 1
    end = len(bottom) if params.num_axes == -1 else start + params.num_axes
    if not 0 <= start <= end <= len(bottom):
        span = f"axis {params.axis} and num_axes {params.num_axes}"
        raise NetError(f"{span} do not fit the bottom {dims(bottom)}, which has {len(bottom)} axes")
    new = [_kept(bottom, start + place) if dim == 0 else dim for place, dim in enumerate(params.dims)]
    shape = [*bottom[:start], *new, *bottom[end:]]
    if -1 in shape:
        known = -count(shape)
        if count(bottom) % known:
            raise NetError(
                f"bottom count {count(bottom)} is not divisible by {known}, the product of the rest"
            )
        shape[shape.index(-1)] = count(bottom) // known
    if count(shape) != count(bottom):
        raise NetError(
            f"output count must match input count: bottom {dims(bottom)} has {count(bottom)} elements,"
            f" {dims(shape)} has {count(shape)}"
        )
    return [tuple(shape)]


def _kept(bottom: Shape, axis: int) -> int:
    if axis >= len(bottom):
        raise NetError(f"dim 0 copies axis {axis}, but the bottom has {len(bottom)} axes")
    return bottom[axis]


register(LayerSpec(type="Flatten", read=FlattenParams.read, shapes=flatten_shapes))
register(LayerSpec(type="Reshape", read=ReshapeParams.read, shapes=reshape_shapes))
