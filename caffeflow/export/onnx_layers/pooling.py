"""Pooling as MaxPool and AveragePool, never with ceil_mode: tools read it differently.

Caffe's rounding up is written as padding at the end, as much as its last window needs. A maximum does not
see padding. An average counts Caffe's own padding and not what lies beyond it, which ONNX can say where
there is only one of the two; where there are both, Caffe's padding becomes a Pad before. Windows that lie
wholly beyond the image (stride larger than kernel) are padded by hand too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from onnx import TensorProto

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.params import Pair
from caffeflow.layers.pooling import PoolingParams
from caffeflow.proto.binary import Array

_LOWEST: Final = float(np.finfo(np.float32).min)
"""Caffe's -FLT_MAX: the maximum over a window with nothing in it."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """The windows over planes of one size; every pair is (along h, along w)."""

    size: Pair
    out: Pair
    kernel: Pair
    stride: Pair
    pad: Pair

    @cached_property
    def needed(self) -> Pair:
        """How much must stand behind each axis, so that rounding down gives Caffe's size."""
        height, width = (
            (self.out[axis] - 1) * self.stride[axis] + self.kernel[axis] - self.pad[axis] - self.size[axis]
            for axis in (0, 1)
        )
        return max(0, height), max(0, width)

    @property
    def after(self) -> Pair:
        """The padding behind each axis: Caffe's own if rounding down with it gives Caffe's size."""
        height, width = (
            self.pad[axis]
            if self.needed[axis] <= self.pad[axis] and self._size_with(self.pad[axis], axis) == self.out[axis]
            else self.needed[axis]
            for axis in (0, 1)
        )
        return height, width

    @property
    def all_inside(self) -> bool:
        """Whether every window ends within Caffe's padding."""
        return all(self.needed[axis] <= self.pad[axis] for axis in (0, 1))

    @property
    def all_touch(self) -> bool:
        """Whether every window has something of the image or of the padding before it."""
        return all(self.needed[axis] < self.kernel[axis] for axis in (0, 1))

    def areas(self) -> Array:
        """Returns what Caffe divides by: the area of each window within image and padding, (OH, OW)."""
        height, width = (
            np.minimum(start + self.kernel[axis], self.size[axis] + self.pad[axis]) - start
            for axis in (0, 1)
            for start in [np.arange(self.out[axis]) * self.stride[axis] - self.pad[axis]]
        )
        return (height[:, None] * width).astype(np.float32)

    def _size_with(self, after: int, axis: int) -> int:
        padded = self.pad[axis] + self.size[axis] + after
        return (padded - self.kernel[axis]) // self.stride[axis] + 1


@writes("Pooling")
def write_pooling(layer: OnnxLayer) -> None:
    """One of ONNX's poolings over the same windows."""
    params: PoolingParams = layer.params
    if params.kernel is None and params.tops < 2:
        layer.add("GlobalMaxPool" if params.method == "MAX" else "GlobalAveragePool", layer.bottoms[0])
        return
    bottom, top = layer.facts.bottoms[0], layer.facts.tops[0]
    windows = Windows(
        size=(bottom[2], bottom[3]),
        out=(top[2], top[3]),
        kernel=params.window(bottom),
        stride=params.stride,
        pad=params.pad,
    )
    if params.method == "AVE":
        _averages(layer, windows)
    elif params.tops < 2:
        _maxima(layer, windows)
    else:
        _maxima_and_places(layer, windows)


def _maxima(layer: OnnxLayer, windows: Windows) -> None:
    if windows.all_touch:
        layer.add("MaxPool", layer.bottoms[0], **_attributes(windows, windows.pad, windows.after))
    else:
        padded = _padded(layer, windows, windows.needed, _LOWEST)
        layer.add("MaxPool", padded, **_attributes(windows, (0, 0), (0, 0)))


def _maxima_and_places(layer: OnnxLayer, windows: Windows) -> None:
    """MaxPool counts places through the whole blob, Caffe within a plane, and as floats."""
    if not windows.all_touch:
        layer.refuse("a window lies wholly beyond the image, and has no place to name; use less stride")
    places = layer.graph.new_value(f"{layer.facts.name}/places")
    attributes = _attributes(windows, windows.pad, windows.after)
    layer.node("MaxPool", layer.bottoms, [layer.tops[0], places], **attributes)
    plane = layer.integers("plane", [windows.size[0] * windows.size[1]])
    within = layer.add("Mod", places, plane, into="places_in_plane")
    layer.node("Cast", [within], [layer.tops[1]], into="places_as_floats", to=TensorProto.FLOAT)


def _averages(layer: OnnxLayer, windows: Windows) -> None:
    x = layer.bottoms[0]
    if windows.all_inside:
        counted = int(any(windows.pad))
        attributes = _attributes(windows, windows.pad, windows.after)
        layer.add("AveragePool", x, **attributes, count_include_pad=counted)
    elif windows.all_touch:
        if any(windows.pad):
            x = _padded(layer, windows, windows.pad, 0.0)
        height, width = (max(0, windows.needed[axis] - windows.pad[axis]) for axis in (0, 1))
        attributes = _attributes(windows, (0, 0), (height, width))
        layer.add("AveragePool", x, **attributes, count_include_pad=0)
    else:
        _averages_beyond(layer, windows)


def _averages_beyond(layer: OnnxLayer, windows: Windows) -> None:
    """The average over the whole kernel, times the kernel's area over what Caffe divides by."""
    padded = _padded(layer, windows, windows.needed, 0.0)
    whole = layer.add("AveragePool", padded, into="whole_windows", **_attributes(windows, (0, 0), (0, 0)))
    with np.errstate(divide="ignore"):  # Caffe: a window that begins at the border has the area 0
        shares = np.float32(windows.kernel[0] * windows.kernel[1]) / windows.areas()
    layer.add("Mul", whole, layer.weight("areas", shares[None, None]))


def _padded(layer: OnnxLayer, windows: Windows, after: Pair, value: float) -> str:
    pads = layer.integers("pads", [0, 0, *windows.pad, 0, 0, *after])
    return layer.add("Pad", layer.bottoms[0], pads, layer.scalar("beyond", value), into="padded")


def _attributes(windows: Windows, before: Pair, after: Pair) -> dict[str, Any]:
    return {
        "kernel_shape": list(windows.kernel),
        "strides": list(windows.stride),
        "pads": [*before, *after],
    }
