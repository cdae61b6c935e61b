"""Pooling as MaxPool and AveragePool, never with ceil_mode: tools read it differently.

Caffe's rounding up is written as padding at the end, as much as its last window needs. A maximum does not
see padding. An average counts Caffe's own padding and not what lies beyond it, which ONNX can say where
there is only one of the two; where there are both, Caffe's padding becomes a Pad before. What Caffe makes
of windows that lie wholly beyond the image (stride larger than kernel) is padded to the top.
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

    def _size_with(self, after: int, axis: int) -> int:
        padded = self.pad[axis] + self.size[axis] + after
        return (padded - self.kernel[axis]) // self.stride[axis] + 1


@writes("Pooling")
def write_pooling(layer: OnnxLayer) -> None:
    """One of ONNX's poolings over the same windows."""
    params: PoolingParams = layer.params
    if params.method == "STOCHASTIC":
        layer.refuse("ONNX has no stochastic pooling; use pool: AVE or MAX")
    if params.kernel is None and params.tops < 2:
        layer.add("GlobalMaxPool" if params.method == "MAX" else "GlobalAveragePool", layer.bottoms[0])
        return
    bottom, top = layer.facts.bottoms[0], layer.facts.tops[0]
    touching = [
        min(top[2 + axis], (bottom[2 + axis] + params.pad[axis] - 1) // params.stride[axis] + 1)
        for axis in (0, 1)
    ]
    windows = Windows(
        size=(bottom[2], bottom[3]),
        out=(touching[0], touching[1]),
        kernel=params.window(bottom),
        stride=params.stride,
        pad=params.pad,
    )
    into = "" if windows.out == top[2:] else "inside"
    pool = _averages if params.method == "AVE" else _maxima
    pooled = pool(layer, windows, into)
    if into:
        _pad_top(layer, windows, pooled)


def _maxima(layer: OnnxLayer, windows: Windows, into: str) -> str:
    attributes = _attributes(windows, windows.pad, windows.after)
    if len(layer.tops) == 1:
        return layer.add("MaxPool", layer.bottoms[0], into=into, **attributes)
    if into:
        layer.refuse("a window lies wholly beyond the image, and has no place to name; use less stride")
    # ONNX counts places through the whole blob, Caffe within a plane, and as floats.
    places = layer.graph.new_value(f"{layer.facts.name}/places")
    layer.node("MaxPool", layer.bottoms, [layer.tops[0], places], **attributes)
    plane = layer.integers("plane", [windows.size[0] * windows.size[1]])
    within = layer.add("Mod", places, plane, into="places_in_plane")
    layer.node("Cast", [within], [layer.tops[1]], into="places_as_floats", to=TensorProto.FLOAT)
    return layer.tops[0]


def _averages(layer: OnnxLayer, windows: Windows, into: str) -> str:
    x = layer.bottoms[0]
    if windows.all_inside:
        attributes = _attributes(windows, windows.pad, windows.after)
        return layer.add("AveragePool", x, into=into, count_include_pad=int(any(windows.pad)), **attributes)
    if any(windows.pad):
        pads = layer.integers("pads", [0, 0, *windows.pad, 0, 0, *windows.pad])
        x = layer.add("Pad", x, pads, layer.scalar("zero", 0.0), into="padded")
    height, width = (max(0, windows.needed[axis] - windows.pad[axis]) for axis in (0, 1))
    attributes = _attributes(windows, (0, 0), (height, width))
    return layer.add("AveragePool", x, into=into, count_include_pad=0, **attributes)


def _pad_top(layer: OnnxLayer, windows: Windows, pooled: str) -> None:
    """Adds the windows beyond the image: -FLT_MAX as the maximum of nothing, 0 as its average."""
    params: PoolingParams = layer.params
    top = layer.facts.tops[0]
    beyond = [top[2 + axis] - windows.out[axis] for axis in (0, 1)]
    starts_at_end = [windows.out[axis] * windows.stride[axis] == windows.size[axis] for axis in (0, 1)]
    if params.method == "AVE" and any(beyond[axis] and starts_at_end[axis] for axis in (0, 1)):
        layer.refuse("a window begins where the image ends, and Caffe divides by 0 there; use less stride")
    pads = layer.integers("beyond", [0, 0, 0, 0, 0, 0, *beyond])
    nothing = layer.scalar("nothing", 0.0 if params.method == "AVE" else _LOWEST)
    layer.add("Pad", pooled, pads, nothing)


def _attributes(windows: Windows, before: Pair, after: Pair) -> dict[str, Any]:
    return {
        "kernel_shape": list(windows.kernel),
        "strides": list(windows.stride),
        "pads": [*before, *after],
    }
