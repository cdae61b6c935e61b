"""Pooling: the maximum, the average or a drawn value over a sliding window.

Where Caffe differs from what frameworks do today:
  * sizes round up (unless round_mode is FLOOR), and the last window is clipped only where there is padding;
  * the division that is rounded is done in float32;
  * an average divides by the window's area within the padded image, not by the kernel's area;
  * a window that lies wholly beyond the image (stride larger than kernel) yields -FLT_MAX, or 0 / area; for
    such a maximum Caffe's backward writes outside the gradient, here there is none;
  * STOCHASTIC draws a value of the window in TRAIN, as often as its share of the window's sum, and weighs
    all of them by that share in TEST; it takes no padding, and Caffe has it on a GPU only.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from caffeflow.errors import NetError
from caffeflow.layers.params import Pair, dims, read_pair
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter, PoolingParameter

Method = Literal["MAX", "AVE", "STOCHASTIC"]

_METHODS: dict[int, Method] = {
    PoolingParameter.MAX: "MAX",
    PoolingParameter.AVE: "AVE",
    PoolingParameter.STOCHASTIC: "STOCHASTIC",
}


@dataclass(frozen=True, kw_only=True)
class PoolingParams:
    """The settings of Pooling.

    Attributes:
        kernel: None where the window is the whole plane (global_pooling).
        round_up: Whether a partial last window counts.
        tops: 2 where the position of each maximum is a top too.
    """

    method: Method
    kernel: Pair | None
    stride: Pair
    pad: Pair
    round_up: bool
    tops: int

    @classmethod
    def read(cls, layer: LayerParameter) -> PoolingParams:
        """Reads `pooling_param`."""
        param = layer.pooling_param
        kernel = read_pair(param, "kernel_size", half="kernel")
        stride = read_pair(param, "stride", half="stride") or (1, 1)
        pad = read_pair(param, "pad", half="pad") or (0, 0)
        _check(param, kernel, stride, pad)
        method = method_of(param.pool)
        if method != "MAX" and len(layer.top) > 1:
            raise NetError(f"{method} pooling makes 1 top, found {len(layer.top)}; only MAX has a second one")
        return cls(
            method=method,
            kernel=kernel,
            stride=stride,
            pad=pad,
            round_up=param.round_mode == PoolingParameter.CEIL,
            tops=len(layer.top),
        )

    def window(self, bottom: Shape) -> Pair:
        """Returns the kernel for a bottom: its whole plane with global_pooling."""
        return self.kernel or (bottom[2], bottom[3])


def method_of(pool: int) -> Method:
    """Returns the method that a number of the enum `PoolMethod` stands for."""
    return _METHODS[pool]


def check_window(method: Method, kernel: Pair, pad: Pair) -> None:
    """Raises a NetError for padding that a pooling cannot have."""
    if method == "STOCHASTIC" and any(pad):
        raise NetError(f"STOCHASTIC pooling takes no padding, found pad {pad}; only MAX and AVE do")
    for axis, name in enumerate(("h", "w")):
        if pad[axis] >= kernel[axis]:
            raise NetError(
                f"pad {pad[axis]} along {name} must be smaller than the kernel, which is {kernel[axis]}"
            )


def _check(param: PoolingParameter, kernel: Pair | None, stride: Pair, pad: Pair) -> None:
    if param.global_pooling:
        if kernel:
            raise NetError("global_pooling is true and a kernel size is given; give one or the other")
        if pad != (0, 0) or stride != (1, 1):
            raise NetError(f"global_pooling needs pad 0 and stride 1; found pad {pad}, stride {stride}")
        return
    if not kernel:
        raise NetError("kernel_size is missing in pooling_param; give it, or set global_pooling: true")
    for axis, name in enumerate(("h", "w")):
        if kernel[axis] < 1:
            raise NetError(
                f"kernel_size is 0 along {name} in pooling_param; it must be at least 1, or set"
                " global_pooling: true"
            )
        if stride[axis] < 1:
            raise NetError(f"stride is 0 along {name} in pooling_param; it must be at least 1")
    check_window(method_of(param.pool), kernel, pad)


def shapes(params: PoolingParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the pooled shape, twice where the positions are a top."""
    (bottom,) = bottoms
    if len(bottom) != 4:
        raise NetError(f"the bottom must have 4 axes (N, C, H, W); found {dims(bottom)}")
    size = tuple(_output_size(params, bottom, axis) for axis in (0, 1))
    return [(bottom[0], bottom[1], *size)] * max(params.tops, 1)


def _output_size(params: PoolingParams, bottom: Shape, axis: int) -> int:
    size, kernel = bottom[2 + axis], params.window(bottom)[axis]
    stride, pad = params.stride[axis], params.pad[axis]
    if kernel > size + 2 * pad:
        found = f"the kernel is {kernel} along {'hw'[axis]}"
        raise NetError(f"{found}, but the bottom with its padding has only {size + 2 * pad}")
    steps = _as_float32((size + 2 * pad - kernel) / stride)
    out = (math.ceil(steps) if params.round_up else math.floor(steps)) + 1
    # Caffe: the last window must start inside the image or its left padding, but this is only
    # checked where either axis is padded (pooling_layer.cpp, Reshape).
    if any(params.pad) and (out - 1) * stride >= size + pad:
        out -= 1
    return out


def _as_float32(value: float) -> float:
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded


register(
    LayerSpec(
        type="Pooling",
        tops=(1, 2),
        read=PoolingParams.read,
        shapes=shapes,
        note="STOCHASTIC runs on any device; Caffe has it on a GPU only",
    )
)
