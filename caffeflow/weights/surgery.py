"""Surgery on arrays: BatchNorm folded into the layer before or behind it, and big layers thinned out.

The one rule to know: sums run in double precision and the result is float32, so that what was folded
differs from the unfolded net by rounding only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caffeflow.proto.binary import Array, LayerArrays

Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Affine:
    """What a BatchNorm with stored statistics and its Scale do to each channel: x * factor + shift."""

    factor: Doubles
    shift: Doubles

    def then(self, other: Affine) -> Affine:
        """Returns what both do, the other one after this one; one of a single value is for all channels."""
        return Affine(factor=self.factor * other.factor, shift=self.shift * other.factor + other.shift)


def affine_of(batch_norm: LayerArrays, scale: LayerArrays | None, *, eps: float) -> Affine:
    """Returns what a BatchNorm, and a Scale behind it if there is one, do in testing.

    Args:
        batch_norm: Its three blobs: sums of means and of variances, and what to divide both by.
        scale: Its factors, and perhaps shifts.
        eps: The BatchNorm's.
    """
    norm = affine_of_norm(batch_norm.arrays, eps=eps)
    return norm if scale is None else norm.then(affine_of_scale(scale.arrays))


def affine_of_norm(arrays: Sequence[Array], *, eps: float) -> Affine:
    """Returns what a BatchNorm does in testing, of its three blobs."""
    sums_of_means, sums_of_variances, weight = (array.astype(np.float64) for array in arrays)
    # Caffe: a weight of 0 makes the statistics 0 (batch_norm_layer.cpp).
    share = 0.0 if weight.flat[0] == 0 else 1 / weight.flat[0]
    mean, variance = sums_of_means.reshape(-1) * share, sums_of_variances.reshape(-1) * share
    factor = 1 / np.sqrt(variance + eps)
    return Affine(factor=factor, shift=-mean * factor)


def affine_of_scale(arrays: Sequence[Array]) -> Affine:
    """Returns what a Scale does, of its factors and perhaps shifts."""
    factor, *shifts = (array.astype(np.float64).reshape(-1) for array in arrays)
    return Affine(factor=factor, shift=shifts[0] if shifts else np.zeros_like(factor))


def affine_of_bias(arrays: Sequence[Array]) -> Affine:
    """Returns what a Bias layer does, of its summands."""
    shift = arrays[0].astype(np.float64).reshape(-1)
    return Affine(factor=np.ones_like(shift), shift=shift)


@dataclass(frozen=True)
class Layout:
    """How the weight of a layer that makes weighted sums lies in its blob.

    Attributes:
        stored: The blob's axes by meaning: groups, outputs in each, inputs in each and places (of a kernel,
            or of what an InnerProduct flattens), in the order of the blob.
        axes: Where in `stored` the groups, the outputs, the inputs and the places are.
    """

    stored: tuple[int, int, int, int]
    axes: tuple[int, int, int, int] = (0, 1, 2, 3)

    @property
    def outputs(self) -> int:
        """How many outputs the layer has."""
        return self.stored[self.axes[0]] * self.stored[self.axes[1]]

    @property
    def inputs(self) -> int:
        """How many channels its bottom has."""
        return self.stored[self.axes[0]] * self.stored[self.axes[2]]

    def by_meaning(self, weight: Array) -> Doubles:
        """Returns a weight as (groups, outputs in each, inputs in each, places)."""
        return weight.astype(np.float64).reshape(self.stored).transpose(self.axes)

    def as_stored(self, weight: Doubles, shape: Sequence[int]) -> Array:
        """Returns a weight in its blob's order and shape again."""
        return np.ascontiguousarray(weight.transpose(np.argsort(self.axes)).reshape(shape), np.float32)


def convolution_layout(weight: Array, *, group: int) -> Layout:
    """Returns the layout of filters [outputs, inputs of the group, kernel...]."""
    outputs, inputs = weight.shape[:2]
    return Layout((group, outputs // group, inputs, math.prod(weight.shape[2:])))


def deconvolution_layout(weight: Array, *, group: int) -> Layout:
    """Returns the layout of filters [inputs, outputs of the group, kernel...]."""
    inputs, outputs = weight.shape[:2]
    return Layout((group, inputs // group, outputs, math.prod(weight.shape[2:])), axes=(0, 2, 1, 3))


def product_layout(weight: Array, *, outputs: int, channels: int | None, is_transposed: bool) -> Layout:
    """Returns the layout of an InnerProduct's matrix.

    Args:
        weight: The matrix, in any shape.
        outputs: How many rows it has, or columns if it is transposed.
        channels: How many channels of the bottom it flattens; None: nobody asks.
        is_transposed: It is stored as [inputs, outputs].
    """
    inputs = weight.size // outputs
    channels = channels or inputs
    if is_transposed:
        return Layout((1, channels, inputs // channels, outputs), axes=(0, 3, 1, 2))
    return Layout((1, outputs, channels, inputs // channels))


def fold(arrays: Sequence[Array], affine: Affine) -> tuple[Array, Array]:
    """Returns weight and bias of a convolution that does what it and the affine map behind it did."""
    weight = arrays[0]
    return fold_after(arrays, affine, Layout((1, len(weight), 1, weight.size // len(weight))))


def fold_after(arrays: Sequence[Array], affine: Affine, layout: Layout) -> tuple[Array, Array]:
    """Returns weight and bias of a layer that does what it and an affine map behind it did.

    Args:
        arrays: The layer's weight, and its bias if it has one.
        affine: What follows it.
        layout: Of the weight.
    """
    factor = np.broadcast_to(affine.factor, (layout.outputs,))
    weight = layout.by_meaning(arrays[0]) * factor.reshape(layout.stored[layout.axes[0]], -1, 1, 1)
    bias = _bias(arrays, layout) * factor + affine.shift
    return layout.as_stored(weight, arrays[0].shape), bias.astype(np.float32)


def fold_before(arrays: Sequence[Array], affine: Affine, layout: Layout) -> tuple[Array, Array]:
    """Returns weight and bias of a layer that does what an affine map before it and it did.

    It does so only where its kernel reads no padding, which the affine map did not shift.
    """
    factor, shift = (
        np.broadcast_to(each, (layout.inputs,)).reshape(layout.stored[layout.axes[0]], 1, -1, 1)
        for each in (affine.factor, affine.shift)
    )
    weight = layout.by_meaning(arrays[0])
    bias = _bias(arrays, layout) + (weight * shift).sum(axis=(2, 3)).reshape(-1)
    return layout.as_stored(weight * factor, arrays[0].shape), bias.astype(np.float32)


def _bias(arrays: Sequence[Array], layout: Layout) -> Doubles:
    return arrays[1].astype(np.float64).reshape(-1) if len(arrays) > 1 else np.zeros(layout.outputs)


def decimate(array: Array, shape: Sequence[int]) -> Array:
    """Returns an array with evenly spaced entries of every axis, so many that it gets the shape.

    Of outputs and inputs (the first two axes) the first of every n/m stays, so that what a thinned layer
    still makes is what the next one, thinned likewise, still takes. Of a kernel's rows and columns the
    outermost stay: 3 of 7 are the first, the middle and the last, which a dilated kernel reads at the
    same places.
    """
    for axis, (found, wanted) in enumerate(zip(array.shape, shape, strict=True)):
        if axis < 2:
            kept = np.arange(wanted) * (found // wanted)
        else:
            kept = np.round(np.linspace(0, found - 1, wanted)).astype(int)
        array = array.take(kept, axis=axis)
    return array
