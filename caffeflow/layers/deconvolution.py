"""Deconvolution: the transpose of a convolution; bottoms and tops change places, the settings are the same.

The filters are [channels, num_output / group, kernel…]: the first axis is the bottom's.
"""

from __future__ import annotations

from collections.abc import Sequence

from caffeflow.errors import NetError
from caffeflow.layers.convolution import ConvolutionParams, with_bias
from caffeflow.layers.params import canonical_axis, check_same, count
from caffeflow.layers.spec import Blob, LayerSpec, Shape, register


def shapes(params: ConvolutionParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns one top for each bottom."""
    first = bottoms[0]
    check_same(bottoms)
    params.groups(first)
    axis = canonical_axis(params.axis, len(first))
    filters = params.filters(first)
    spatial = tuple(
        stride * (size - 1) + dilation * (kernel - 1) + 1 - 2 * pad
        for size, kernel, stride, pad, dilation in zip(
            first[axis + 1 :], filters.kernel, filters.stride, filters.pad, filters.dilation, strict=True
        )
    )
    if any(size < 1 for size in spatial):
        raise NetError(f"pad {filters.pad} leaves nothing of the top, which would be {spatial}; use less")
    return [(*first[:axis], params.outputs(first), *spatial)] * len(bottoms)


def blobs(params: ConvolutionParams, bottoms: Sequence[Shape]) -> list[Blob]:
    """Returns the filters and the biases."""
    outputs = params.outputs(bottoms[0])
    a_group = outputs // params.groups(bottoms[0])
    shape = (params.channels(bottoms[0]), a_group, *params.filters(bottoms[0]).kernel)
    weight = Blob(name="weight", shape=shape, filler=params.weight_filler)
    return with_bias(params, weight, outputs)


def macs(params: ConvolutionParams, bottoms: Sequence[Shape], _tops: Sequence[Shape]) -> int:
    """Returns the products made of all elements of all bottoms."""
    each = count(blobs(params, bottoms)[0].shape[1:])
    return each * sum(count(bottom) for bottom in bottoms)


register(
    LayerSpec(
        type="Deconvolution",
        bottoms=(1, None),
        tops=(1, None),
        tops_like_bottoms=True,
        read=ConvolutionParams.read,
        shapes=shapes,
        blobs=blobs,
        learns=("weight", "bias"),
        settings=("convolution_param",),
        macs=macs,
        note="the embedded engine runs up to three spatial axes",
    )
)
