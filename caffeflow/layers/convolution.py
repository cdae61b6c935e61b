"""Convolution: a bank of filters slid over any number of spatial axes.

What is Caffe's own here:
  * several bottoms go through the same filters, one top each, and must have one shape;
  * axes before `axis` are all batch, axes after it are all spatial;
  * sizes round down, and a filler left out means zeros, weights too;
  * `tf_pad`, a fork's own, may put all padding at the end of an axis (`tf_padding.py`);
  * `DepthwiseConvolution` and `ConvolutionDepthwise` are what forks call a convolution with a group for
    each channel; `group` and `num_output` may be left out there, and are then the channels. What is
    given holds, as in the layers that caffeflow puts into a tree: several filters a channel, fewer groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from caffeflow.errors import NetError
from caffeflow.layers.params import Pair, PerAxis, canonical_axis, check_same, count, filler, read_per_axis
from caffeflow.layers.spec import Blob, LayerSpec, Shape, register
from caffeflow.layers.tf_padding import TfPad, Window, read_tf_pad, same_padding
from caffeflow.proto.caffe_pb2 import FillerParameter, LayerParameter

DEPTHWISE: Final = ("DepthwiseConvolution", "ConvolutionDepthwise")


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Kernel, stride, pad and dilation, one value for each spatial axis.

    Attributes:
        pad: Zeros after each axis, and as many before it.
        pads_end_only: Whether there are none before it.
    """

    kernel: Shape
    stride: Shape
    pad: Shape
    dilation: Shape
    pads_end_only: tuple[bool, ...]


@dataclass(frozen=True, kw_only=True)
class ConvolutionParams:
    """The settings of Convolution, Deconvolution and the forks' depthwise types.

    Attributes:
        num_output: Number of outputs; None: as many as channels.
        group: Number of groups; None: as many as channels.
        tf_pad: How the SSD fork pads instead of `pad`; None: it does not.
    """

    num_output: int | None
    group: int | None
    bias_term: bool
    axis: int
    kernel: PerAxis
    stride: PerAxis
    pad: PerAxis
    dilation: PerAxis
    weight_filler: FillerParameter | None
    bias_filler: FillerParameter | None
    tf_pad: TfPad | None = None

    @classmethod
    def read(cls, layer: LayerParameter) -> ConvolutionParams:
        """Reads `convolution_param`."""
        param = layer.convolution_param
        may_be_left_out = layer.type in DEPTHWISE
        has_outputs = param.HasField("num_output") or not may_be_left_out
        if param.num_output < 1 and has_outputs:
            raise NetError(f"num_output is {param.num_output}; it must be at least 1")
        if param.group < 1:
            raise NetError("group is 0; it must be at least 1")
        return cls(
            num_output=param.num_output if has_outputs else None,
            group=param.group if param.HasField("group") or not may_be_left_out else None,
            bias_term=param.bias_term,
            axis=param.axis,
            kernel=read_per_axis(param, "kernel_size", half="kernel", default=None, least=1),
            stride=read_per_axis(param, "stride", half="stride", default=1, least=1),
            pad=read_per_axis(param, "pad", half="pad", default=0, least=0),
            dilation=PerAxis("dilation", tuple(param.dilation), 1, 1),
            weight_filler=filler(param, "weight_filler"),
            bias_filler=filler(param, "bias_filler"),
            tf_pad=read_tf_pad(layer),
        )

    def channels(self, bottom: Shape) -> int:
        """Returns the size of the channel axis."""
        return bottom[canonical_axis(self.axis, len(bottom))]

    def filters(self, bottom: Shape) -> Filters:
        """Returns the settings along each spatial axis of a bottom."""
        axes = len(bottom) - canonical_axis(self.axis, len(bottom)) - 1
        kernel, stride, dilation = (each.along(axes) for each in (self.kernel, self.stride, self.dilation))
        padding = self._padding(
            bottom, [Window(*each) for each in zip(kernel, stride, dilation, strict=True)]
        )
        return Filters(
            kernel=kernel,
            stride=stride,
            pad=tuple(after for _, after in padding),
            dilation=dilation,
            pads_end_only=tuple(before < after for before, after in padding),
        )

    def _padding(self, bottom: Shape, windows: Sequence[Window]) -> list[Pair]:
        """Returns the zeros before and after each spatial axis."""
        pads = self.pad.along(len(windows))
        if self.tf_pad is None:
            return [(pad, pad) for pad in pads]
        axis = canonical_axis(self.axis, len(bottom))
        if (axis, len(windows)) != (1, 2):
            found = f"axis {axis} and {len(windows)} spatial axes"
            raise NetError(f"tf_pad needs axis 1 and 2 spatial axes; found {found}")
        if self.tf_pad == "VALID":
            return [(0, 0), (0, 0)]
        return [
            same_padding(bottom[place], window, pad=pad, axis=place)
            for place, window, pad in zip((2, 3), windows, pads, strict=True)
        ]

    def groups(self, bottom: Shape) -> int:
        """Returns the number of groups.

        Raises:
            NetError: It does not divide the channels or the outputs.
        """
        channels = self.channels(bottom)
        group = channels if self.group is None else self.group
        for field, value in (("channels of the bottom", channels), ("num_output", self.outputs(bottom))):
            if value % group:
                hint = "; give the group that it has" if self.group is None else ""
                raise NetError(f"group {group} does not divide the {value} {field}{hint}")
        return group

    def outputs(self, bottom: Shape) -> int:
        """Returns the number of output channels."""
        return self.channels(bottom) if self.num_output is None else self.num_output


def output_size(size: int, *, kernel: int, stride: int, pad: int, dilation: int) -> int:
    """Returns the output size along one axis.

    Raises:
        NetError: The kernel is larger than the padded bottom.
    """
    extent = dilation * (kernel - 1) + 1
    if extent > size + 2 * pad:
        raise NetError(
            f"the kernel covers {extent}, but the bottom with its padding has only {size + 2 * pad}"
        )
    return (size + 2 * pad - extent) // stride + 1


def shapes(params: ConvolutionParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns one top for each bottom."""
    first = bottoms[0]
    check_same(bottoms)
    params.groups(first)
    axis = canonical_axis(params.axis, len(first))
    filters = params.filters(first)
    spatial = tuple(
        output_size(size, kernel=kernel, stride=stride, pad=pad, dilation=dilation)
        for size, kernel, stride, pad, dilation in zip(
            first[axis + 1 :], filters.kernel, filters.stride, filters.pad, filters.dilation, strict=True
        )
    )
    return [(*first[:axis], params.outputs(first), *spatial)] * len(bottoms)


def blobs(params: ConvolutionParams, bottoms: Sequence[Shape]) -> list[Blob]:
    """Returns the filters [num_output, channels / group, kernel…] and the biases."""
    outputs = params.outputs(bottoms[0])
    inputs = params.channels(bottoms[0]) // params.groups(bottoms[0])
    shape = (outputs, inputs, *params.filters(bottoms[0]).kernel)
    return with_bias(params, Blob(name="weight", shape=shape, filler=params.weight_filler), outputs)


def with_bias(params: ConvolutionParams, weight: Blob, outputs: int) -> list[Blob]:
    """Returns the weight blob, and one bias for each output if there is a bias term."""
    bias = Blob(name="bias", shape=(outputs,), filler=params.bias_filler)
    return [weight, bias] if params.bias_term else [weight]


def macs(params: ConvolutionParams, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
    """Returns the products summed for all elements of all tops."""
    each = count(blobs(params, bottoms)[0].shape[1:])
    return each * sum(count(top) for top in tops)


for _type in ("Convolution", *DEPTHWISE):
    register(
        LayerSpec(
            type=_type,
            bottoms=(1, None),
            tops=(1, None),
            tops_like_bottoms=True,
            read=ConvolutionParams.read,
            shapes=shapes,
            blobs=blobs,
            learns=("weight", "bias"),
            settings=("convolution_param",),
            macs=macs,
            note=(
                "the embedded engine runs up to three spatial axes; tf_pad computes what its fork does with"
                " engine: CAFFE, the bottom's shifted gradient too"
            ),
        )
    )
