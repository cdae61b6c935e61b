"""Surgery on arrays: BatchNorm folded into the layer before it, and big layers thinned out.

The one rule to know: sums run in double precision and the result is float32, so that what was folded
differs from the unfolded net by rounding only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caffeflow.proto.binary import Array, LayerArrays


@dataclass(frozen=True, kw_only=True)
class Affine:
    """What a BatchNorm with stored statistics and its Scale do to each channel: x * factor + shift."""

    factor: NDArray[np.float64]
    shift: NDArray[np.float64]


def affine_of(batch_norm: LayerArrays, scale: LayerArrays | None, *, eps: float) -> Affine:
    """Returns what a BatchNorm, and a Scale behind it if there is one, do in testing.

    Args:
        batch_norm: Its three blobs: sums of means and of variances, and what to divide both by.
        scale: Its factors, and perhaps shifts.
        eps: The BatchNorm's.
    """
    sums_of_means, sums_of_variances, weight = (array.astype(np.float64) for array in batch_norm.arrays)
    # Caffe: a weight of 0 makes the statistics 0 (batch_norm_layer.cpp).
    share = 0.0 if weight.flat[0] == 0 else 1 / weight.flat[0]
    mean, variance = sums_of_means.reshape(-1) * share, sums_of_variances.reshape(-1) * share
    factor = 1 / np.sqrt(variance + eps)
    shift = -mean * factor
    if scale is not None:
        gamma = scale.arrays[0].astype(np.float64).reshape(-1)
        factor, shift = factor * gamma, shift * gamma
        if len(scale.arrays) > 1:
            shift = shift + scale.arrays[1].astype(np.float64).reshape(-1)
    return Affine(factor=factor, shift=shift)


def fold(arrays: Sequence[Array], affine: Affine) -> tuple[Array, Array]:
    """Returns weight and bias of a convolution that does what it and the affine map did.

    Args:
        arrays: The convolution's weight (first axis: its outputs), and its bias if it has one.
        affine: What follows it.
    """
    weight = arrays[0].astype(np.float64)
    bias = arrays[1].astype(np.float64).reshape(-1) if len(arrays) > 1 else 0.0
    per_output = affine.factor.reshape(-1, *[1] * (weight.ndim - 1))
    folded = bias * affine.factor + affine.shift
    return (weight * per_output).astype(np.float32), folded.astype(np.float32)


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
