"""Convolution: a bank of filters slid over any number of spatial axes.

What is Caffe's own here:
  * several bottoms go through the same filters, one top each, and must have one shape;
  * axes before `axis` are all batch, axes after it are all spatial;
  * sizes round down, and a filler left out means zeros, weights too;
  * `DepthwiseConvolution` and `ConvolutionDepthwise` are what forks call a grouped convolution with one
    filter a channel; `group` and `num_output` may be left out there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from caffeflow.errors import NetError
from caffeflow.layers.params import PerAxis, canonical_axis, check_same, count, filler, read_per_axis
from caffeflow.layers.spec import Blob, LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import FillerParameter, LayerParameter

DEPTHWISE: Final = ("DepthwiseConvolution", "ConvolutionDepthwise")


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Kernel, stride, pad and dilation, one value for each spatial axis."""

    kernel: Shape
    stride: Shape
    pad: Shape
    dilation: Shape


@dataclass(frozen=True, kw_only=True)
class ConvolutionParams:
    """The settings of Convolution, Deconvolution and the forks' depthwise types.

    Attributes:
        depthwise: One filter a channel: `num_output` and `group` follow the channels.
    """

    num_output: int
    group: int
    bias_term: bool
    axis: int
    kernel: PerAxis
    stride: PerAxis
    pad: PerAxis
    dilation: PerAxis
    weight_filler: FillerParameter | None
    bias_filler: FillerParameter | None
    depthwise: bool = False

    @classmethod
    def read(cls, layer: LayerParameter) -> ConvolutionParams:
        """Reads `convolution_param`."""
        param = layer.convolution_param
        depthwise = layer.type in DEPTHWISE
        if param.HasField("tf_pad"):
            raise NetError("tf_pad (SSD fork) is not supported; write the padding as pad")
        if param.num_output < 1 and not depthwise:
            raise NetError(f"num_output is {param.num_output}; it must be at least 1")
        if param.group < 1:
            raise NetError("group is 0; it must be at least 1")
        return cls(
            num_output=param.num_output,
            group=param.group if param.HasField("group") or not depthwise else 0,
            bias_term=param.bias_term,
            axis=param.axis,
            kernel=read_per_axis(param, "kernel_size", half="kernel", default=None, least=1),
            stride=read_per_axis(param, "stride", half="stride", default=1, least=1),
            pad=read_per_axis(param, "pad", half="pad", default=0, least=0),
            dilation=PerAxis("dilation", tuple(param.dilation), 1, 1),
            weight_filler=filler(param, "weight_filler"),
            bias_filler=filler(param, "bias_filler"),
            depthwise=depthwise,
        )

    def channels(self, bottom: Shape) -> int:
        """Returns the size of the channel axis."""
        return bottom[canonical_axis(self.axis, len(bottom))]

    def filters(self, bottom: Shape) -> Filters:
        """Returns the settings along each spatial axis of a bottom."""
        axes = len(bottom) - canonical_axis(self.axis, len(bottom)) - 1
        return Filters(
            kernel=self.kernel.along(axes),
            stride=self.stride.along(axes),
            pad=self.pad.along(axes),
            dilation=self.dilation.along(axes),
        )

    def groups(self, bottom: Shape) -> int:
        """Returns the number of groups.

        Raises:
            NetError: It does not divide the channels or the outputs.
        """
        channels = self.channels(bottom)
        if self.depthwise:
            for field, value in (("group", self.group), ("num_output", self.num_output)):
                if value not in (0, channels):
                    raise NetError(
                        f"{field} is {value}, but a depthwise layer has one filter for each of its {channels}"
                        ' channels; leave it out, or write type: "Convolution"'
                    )
            return channels
        for field, value in (("channels of the bottom", channels), ("num_output", self.num_output)):
            if value % self.group:
                raise NetError(f"group {self.group} does not divide the {value} {field}")
        return self.group

    def outputs(self, bottom: Shape) -> int:
        """Returns the number of output channels."""
        return self.channels(bottom) if self.depthwise else self.num_output


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
            macs=macs,
            note="the embedded engine runs up to three spatial axes; tf_pad is refused",
        )
    )
