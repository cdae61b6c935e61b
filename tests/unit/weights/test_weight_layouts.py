"""Folding on arrays, against sums written as loops: every layout, before and behind."""

from __future__ import annotations

import numpy as np
import pytest

from caffeflow.weights.surgery import (
    Affine,
    Layout,
    affine_of_bias,
    affine_of_scale,
    convolution_layout,
    deconvolution_layout,
    fold_after,
    fold_before,
    product_layout,
)

RNG = np.random.default_rng(7)


def grouped(weight: np.ndarray, x: np.ndarray, group: int, *, inputs_first: bool) -> np.ndarray:
    """One place of a (de)convolution: every output sums weight * x over its group's inputs and the kernel.

    weight: [O, I/g, K], or [I, O/g, K] with inputs first; x: [I, K] -> [O]
    """
    outputs = weight.shape[1] * group if inputs_first else weight.shape[0]
    taken, made = len(x) // group, outputs // group
    y = np.zeros(outputs)
    for o in range(outputs):
        for i in range(taken):
            channel = o // made * taken + i
            for k in range(x.shape[1]):
                entry = weight[channel, o % made, k] if inputs_first else weight[o, i, k]
                y[o] += entry * x[channel, k]
    return y


def affine(channels: int) -> Affine:
    return Affine(factor=RNG.normal(size=channels), shift=RNG.normal(size=channels))


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("inputs_first", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
def test_grouped_filters(group: int, inputs_first: bool, has_bias: bool) -> None:
    inputs, outputs, taps = 6, 10, 3
    shape = (inputs, outputs // group, taps) if inputs_first else (outputs, inputs // group, taps)
    weight, bias = RNG.normal(size=shape).astype("f4"), RNG.normal(size=outputs).astype("f4")
    layout = (deconvolution_layout if inputs_first else convolution_layout)(weight, group=group)
    assert (layout.outputs, layout.inputs) == (outputs, inputs)
    x = RNG.normal(size=(inputs, taps))
    before, after = affine(inputs), affine(outputs)
    arrays = (weight, bias) if has_bias else (weight,)
    start = bias if has_bias else 0

    moved = x * before.factor[:, None] + before.shift[:, None]
    wanted = grouped(weight, moved, group, inputs_first=inputs_first) + start
    folded, shifted = fold_before(arrays, before, layout)
    assert folded.shape == weight.shape
    np.testing.assert_allclose(
        grouped(folded, x, group, inputs_first=inputs_first) + shifted, wanted, atol=2e-6
    )

    wanted = (grouped(weight, x, group, inputs_first=inputs_first) + start) * after.factor + after.shift
    folded, shifted = fold_after(arrays, after, layout)
    np.testing.assert_allclose(
        grouped(folded, x, group, inputs_first=inputs_first) + shifted, wanted, atol=2e-6
    )


@pytest.mark.parametrize("is_transposed", [False, True])
def test_products_flatten_channels_first(is_transposed: bool) -> None:
    outputs, channels, places = 5, 3, 7
    matrix = RNG.normal(size=(outputs, channels * places)).astype("f4")
    stored = np.ascontiguousarray(matrix.T) if is_transposed else matrix
    layout = product_layout(stored, outputs=outputs, channels=channels, is_transposed=is_transposed)
    x, before = RNG.normal(size=(channels, places)), affine(channels)
    wanted = np.zeros(outputs)
    for o in range(outputs):
        for c in range(channels):
            for p in range(places):
                wanted[o] += matrix[o, c * places + p] * (x[c, p] * before.factor[c] + before.shift[c])
    folded, bias = fold_before((stored,), before, layout)
    made = (folded.T if is_transposed else folded) @ x.reshape(-1) + bias
    np.testing.assert_allclose(made, wanted, atol=2e-6)


def test_one_value_goes_for_all_channels() -> None:
    weight = RNG.normal(size=(5, 3, 2)).astype("f4")
    one = affine_of_scale([np.array(3, np.float32), np.array(0.5, np.float32)])
    both = one.then(affine_of_bias([np.arange(5, dtype=np.float32)]))
    folded, bias = fold_after((weight,), both, convolution_layout(weight, group=1))
    np.testing.assert_allclose(folded, weight * 3, rtol=1e-6)
    np.testing.assert_allclose(bias, 0.5 + np.arange(5))


def test_a_layout_gives_back_what_it_took() -> None:
    weight = RNG.normal(size=(6, 5, 3)).astype("f4")
    for layout in (Layout((2, 3, 5, 3)), Layout((2, 3, 5, 3), axes=(0, 2, 1, 3))):
        np.testing.assert_array_equal(layout.as_stored(layout.by_meaning(weight), weight.shape), weight)
