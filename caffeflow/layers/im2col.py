"""Im2col: every window that a convolution would look at, laid out as channels.

It reads `convolution_param`, of which num_output, group and bias_term mean nothing to it. The new channels
are ordered by the old channel, then by the place in the window, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.layers.convolution import Filters, output_size
from caffeflow.layers.params import PerAxis, canonical_axis, count, read_per_axis
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class Im2colParams:
    """The settings of Im2col."""

    axis: int
    kernel: PerAxis
    stride: PerAxis
    pad: PerAxis
    dilation: PerAxis

    @classmethod
    def read(cls, layer: LayerParameter) -> Im2colParams:
        """Reads `convolution_param`."""
        param = layer.convolution_param
        return cls(
            axis=param.axis,
            kernel=read_per_axis(param, "kernel_size", half="kernel", default=None, least=1),
            stride=read_per_axis(param, "stride", half="stride", default=1, least=1),
            pad=read_per_axis(param, "pad", half="pad", default=0, least=0),
            dilation=PerAxis("dilation", tuple(param.dilation), 1, 1),
        )

    def filters(self, bottom: Shape) -> Filters:
        """Returns the settings along each spatial axis of a bottom."""
        axes = len(bottom) - canonical_axis(self.axis, len(bottom)) - 1
        return Filters(
            kernel=self.kernel.along(axes),
            stride=self.stride.along(axes),
            pad=self.pad.along(axes),
            dilation=self.dilation.along(axes),
            pads_end_only=(False,) * axes,
        )


def shapes(params: Im2colParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the channels times the places of a window, and the sizes of a convolution's top."""
    (bottom,) = bottoms
    axis = canonical_axis(params.axis, len(bottom))
    filters = params.filters(bottom)
    spatial = tuple(
        output_size(size, kernel=kernel, stride=stride, pad=pad, dilation=dilation)
        for size, kernel, stride, pad, dilation in zip(
            bottom[axis + 1 :], filters.kernel, filters.stride, filters.pad, filters.dilation, strict=True
        )
    )
    return [(*bottom[:axis], bottom[axis] * count(filters.kernel), *spatial)]


register(LayerSpec(type="Im2col", read=Im2colParams.read, shapes=shapes, settings=("convolution_param",)))
