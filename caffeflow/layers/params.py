"""Caffe's rules for fields that many layers share: one value or one an axis, `x` or `x_h` and `x_w`, axes.

Here alone is it decided which number is height and which is width. Two rules exist: convolutions take
lists and a missing half of `x_h`/`x_w` counts as 0; pooling wants both halves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caffeflow.errors import NetError
from caffeflow.layers.spec import Shape
from caffeflow.proto.caffe_pb2 import FillerParameter, LayerParameter

Pair = tuple[int, int]
"""(height, width)."""


@dataclass(frozen=True)
class PerAxis:
    """A field of a convolution as written: no value, one for all spatial axes, or one for each.

    Attributes:
        field: Its name, for messages.
        values: What the file says.
        default: What no value means; None: the field must be given.
        least: The smallest value allowed.
    """

    field: str
    values: Shape
    default: int | None
    least: int

    def along(self, axes: int) -> Shape:
        """Returns one value for each of `axes` spatial axes.

        Raises:
            NetError: Too few or too many values, or one that is too small.
        """
        if not self.values and self.default is None and axes:
            raise NetError(f"{self.field} is missing; give one value, or one for each of {axes} spatial axes")
        if len(self.values) > 1 and len(self.values) != axes:
            found = f"{self.field} has {len(self.values)} values, the bottom has {axes} spatial axes"
            raise NetError(f"{found}; give one value, or one for each axis")
        spread = self.values if len(self.values) > 1 else (self.values or (self.default or 0,)) * axes
        for value in spread:
            if value < self.least:
                raise NetError(f"{self.field} is {value}; it must be at least {self.least}")
        return spread


def read_per_axis(param: Any, field: str, *, half: str, default: int | None, least: int) -> PerAxis:
    """Reads a repeated field or its `<half>_h` and `<half>_w`, by the rule of convolutions.

    Caffe: with only one of the two the other counts as 0 (base_conv_layer.cpp).

    Raises:
        NetError: Both spellings are used.
    """
    values = tuple(getattr(param, field))
    height, width = f"{half}_h", f"{half}_w"
    if not (param.HasField(height) or param.HasField(width)):
        return PerAxis(field, values, default, least)
    if values:
        raise NetError(f"both {field} and {height}/{width} are given; give one or the other")
    return PerAxis(f"{height}/{width}", (getattr(param, height), getattr(param, width)), default, least)


def read_pair(param: Any, field: str, *, half: str) -> Pair | None:
    """Reads a single field or its `<half>_h` and `<half>_w`, by the rule of pooling.

    Returns:
        (height, width), or None where the file gives neither spelling.

    Raises:
        NetError: Both spellings, or one half alone.
    """
    height, width = f"{half}_h", f"{half}_w"
    halves = [name for name in (height, width) if param.HasField(name)]
    if halves and param.HasField(field):
        raise NetError(f"both {field} and {halves[0]} are given; give {field}, or {height} and {width}")
    if len(halves) == 1:
        missing = width if halves[0] == height else height
        raise NetError(f"{halves[0]} is given without {missing}; give both, or {field}")
    if halves:
        return getattr(param, height), getattr(param, width)
    return (getattr(param, field),) * 2 if param.HasField(field) else None


def canonical_axis(axis: int, dims: int, *, field: str = "axis") -> int:
    """Returns an axis counted from the front.

    Raises:
        NetError: The bottom has no such axis.
    """
    if not -dims <= axis < dims:
        raise NetError(f"{field} is {axis}, but the bottom has {dims} axes")
    return axis % dims


def count(shape: Sequence[int]) -> int:
    """Returns the number of elements of a shape; 1 for a scalar."""
    return math.prod(shape)


def as_four(shape: Shape) -> Shape:
    """Returns a shape as layers see it that know only num, channels, height and width.

    Raises:
        NetError: It has more than four axes.
    """
    if len(shape) > 4:
        raise NetError(f"the bottom must have at most 4 axes; found {dims(shape)}")
    return (*shape, *(1,) * (4 - len(shape)))


def dims(shape: Sequence[int]) -> str:
    """Returns a shape as messages show it: `2 x 3 x 5 x 7`."""
    return " x ".join(map(str, shape)) if shape else "scalar"


def filler(param: Any, field: str) -> FillerParameter | None:
    """Returns a filler field, or None where the file leaves it out."""
    value: FillerParameter = getattr(param, field)
    return value if param.HasField(field) else None


def constant(value: float) -> FillerParameter:
    """Returns the filler that sets every element to `value`."""
    return FillerParameter(type="constant", value=value)


def is_in_place(layer: LayerParameter) -> bool:
    """Returns whether the first top overwrites the first bottom."""
    return list(layer.bottom[:1]) == list(layer.top[:1]) != []


def check_same(bottoms: Sequence[Shape]) -> None:
    """Raises a NetError if the bottoms have different shapes."""
    for bottom in bottoms[1:]:
        if bottom != bottoms[0]:
            raise NetError(f"all bottoms must have one shape; found {dims(bottoms[0])} and {dims(bottom)}")
