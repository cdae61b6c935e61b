"""Folding, layer by layer: what a BatchNorm does to a channel, and where a weight's channels lie.

The one rule to know: what cannot be folded raises `Unfoldable` with a reason in the user's words, so that
the table of what stays says why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from caffeflow.errors import WeightsError
from caffeflow.layers.batch_norm import BatchNormParams
from caffeflow.layers.convolution import DEPTHWISE, ConvolutionParams
from caffeflow.proto.binary import Array
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.matching import describe
from caffeflow.weights.surgery import (
    Affine,
    Layout,
    affine_of_bias,
    affine_of_norm,
    affine_of_scale,
    convolution_layout,
    deconvolution_layout,
    product_layout,
)

Side = Literal["before", "after"]

AFFINE: Final = ("BatchNorm", "Scale", "Bias")
WEIGHTED: Final = ("Convolution", "Deconvolution", "InnerProduct", *DEPTHWISE)


class Unfoldable(Exception):  # noqa: N818 - a reason that is shown in a table, not an error
    """Why a layer stays."""


def affine_map(layer: LayerParameter, arrays: Sequence[Array], *, phase: str) -> Affine:
    """Returns what a BatchNorm, Scale or Bias layer does to each channel.

    Raises:
        Unfoldable: It does something else than one thing to each channel.
        WeightsError: The blobs are not the layer's.
    """
    if len(layer.bottom) != 1 or len(layer.top) != 1:
        raise Unfoldable("takes what it multiplies or adds from a second bottom, not from the weights")
    if layer.type == "BatchNorm":
        params = BatchNormParams.read(layer)
        if not params.uses_stored(phase):
            raise Unfoldable("normalises by each batch's own statistics (use_global_stats: false)")
        _check(layer, arrays, len(arrays) == 3 and arrays[0].size == arrays[1].size and arrays[2].size == 1)
        return affine_of_norm(arrays, eps=params.eps)
    param = layer.scale_param if layer.type == "Scale" else layer.bias_param
    if param.axis != 1 and param.num_axes != 0:
        raise Unfoldable(f"works along axis {param.axis}, not along the channels (axis 1)")
    if layer.type == "Scale":
        _check(layer, arrays, len(arrays) == (2 if layer.scale_param.bias_term else 1))
        return affine_of_scale(arrays)
    _check(layer, arrays, len(arrays) == 1)
    return affine_of_bias(arrays)


def layout_of(layer: LayerParameter, arrays: Sequence[Array], *, channels: int | None = None) -> Layout:
    """Returns how the weight of a layer lies in its blob.

    Args:
        layer: One of a type in `WEIGHTED`.
        arrays: Its blobs.
        channels: How many channels the bottom has, which an InnerProduct flattens and a depthwise layer
            without `group` follows; None: nobody asks.

    Raises:
        Unfoldable: Its outputs are no channels.
        WeightsError: The blobs are not the layer's.
    """
    is_product = layer.type == "InnerProduct"
    axis = layer.inner_product_param.axis if is_product else layer.convolution_param.axis
    if axis != 1:
        raise Unfoldable(f"'{layer.name}' has its channels along axis {axis}, not along axis 1")
    has_bias = (layer.inner_product_param if is_product else layer.convolution_param).bias_term
    _check(layer, arrays, len(arrays) == 1 + has_bias and all(array.size for array in arrays))
    layout = _product(layer, arrays[0], channels) if is_product else _filters(layer, arrays, channels)
    is_whole = math.prod(layout.stored) == arrays[0].size
    _check(layer, arrays, is_whole and (not has_bias or arrays[1].size == layout.outputs))
    return layout


def check_channels(layer: LayerParameter, affine: Affine, channels: int) -> None:
    """Raises Unfoldable where an affine map is not one for so many channels, or one for all of them."""
    if affine.factor.size not in (1, channels):
        raise Unfoldable(f"has {affine.factor.size} values for the {channels} channels of '{layer.name}'")


def check_no_padding(layer: LayerParameter, affine: Affine) -> None:
    """Raises Unfoldable where a layer would see its padding shifted, which the affine map does not do."""
    shifted = np.flatnonzero(affine.shift)
    if layer.type == "InnerProduct" or not shifted.size or not (reason := _uneven(layer)):
        return
    worst = int(shifted[np.abs(affine.shift[shifted]).argmax()])
    listed = ", ".join(map(str, shifted[:5])) + (", ..." if shifted.size > 5 else "")
    raise Unfoldable(
        f"'{layer.name}' {reason}, and {shifted.size} of {affine.shift.size} channels of its bottom are"
        f" shifted ({listed}; most: channel {worst} by {affine.shift[worst]:.3g})"
    )


def _uneven(layer: LayerParameter) -> str:
    """Returns why not every output of a layer sums over all of its kernel; empty if each does."""
    params = ConvolutionParams.read(layer)
    if layer.type == "Deconvolution":
        is_pointwise = {*params.kernel.values, *(params.stride.values or (1,))} == {1}
        return "" if is_pointwise else "spreads its kernel, which adds up differently from place to place"
    if params.tf_pad == "VALID":
        return ""
    return "pads with zeros" if params.tf_pad == "SAME" or any(params.pad.values) else ""


def _filters(layer: LayerParameter, arrays: Sequence[Array], channels: int | None) -> Layout:
    weight = arrays[0]
    _check(layer, arrays, weight.ndim > 2)
    param = layer.convolution_param
    follows_channels = layer.type in DEPTHWISE
    group = param.group
    if follows_channels and not param.HasField("group"):
        group = channels if channels and channels > 1 else len(weight)
    outputs = param.num_output
    if follows_channels and not param.HasField("num_output"):
        outputs = len(weight)
    if layer.type == "Deconvolution":
        _check(layer, arrays, len(weight) % group == 0 and weight.shape[1] * group == outputs)
        return deconvolution_layout(weight, group=group)
    _check(layer, arrays, len(weight) % group == 0 and len(weight) == outputs)
    return convolution_layout(weight, group=group)


def _product(layer: LayerParameter, weight: Array, channels: int | None) -> Layout:
    param = layer.inner_product_param
    _check(layer, [weight], weight.size % param.num_output == 0)
    if channels and weight.size // param.num_output % channels:
        raise Unfoldable(f"has {channels} values, of which the inputs of '{layer.name}' are no multiple")
    return product_layout(weight, outputs=param.num_output, channels=channels, is_transposed=param.transpose)


def _check(layer: LayerParameter, arrays: Sequence[Array], fits: bool) -> None:
    if not fits:
        found = ", ".join(describe(array.shape) for array in arrays) or "none"
        raise WeightsError(
            f"layer '{layer.name}' of type {layer.type}: its blobs are {found}, which are not this net's; see"
            " what fits: caffeflow weights diff FILE NET"
        )
