from __future__ import annotations

import numpy as np
import pytest

from caffeflow.proto.binary import LayerArrays
from caffeflow.weights.surgery import affine_of, decimate, fold

RNG = np.random.default_rng(3)


def layer(type_: str, *arrays: np.ndarray) -> LayerArrays:
    return LayerArrays("it", type_, ("x",), ("y",), tuple(array.astype(np.float32) for array in arrays))


def batch_norm(channels: int, weight: float) -> LayerArrays:
    mean, variance = RNG.normal(size=channels), RNG.uniform(0.1, 3, channels)
    return layer("BatchNorm", mean * weight, variance * weight, np.array([weight]))


def convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """A convolution without padding, by loops; x: (C, H, W), weight: (O, C, K, L)."""
    outputs, _, rows, columns = weight.shape
    made = np.zeros((outputs, x.shape[1] - rows + 1, x.shape[2] - columns + 1))
    for o, i, j in np.ndindex(made.shape):
        made[o, i, j] = (x[:, i : i + rows, j : j + columns] * weight[o]).sum()
    return made if bias is None else made + bias[:, None, None]


def normalised(x: np.ndarray, norm: LayerArrays, scale: LayerArrays | None, eps: float) -> np.ndarray:
    """BatchNorm with stored statistics and Scale, channel by channel, as Caffe computes them."""
    means, variances, weight = norm.arrays
    made = np.empty_like(x)
    for c in range(len(x)):
        share = 1 / weight[0] if weight[0] else 0
        made[c] = (x[c] - means[c] * share) / np.sqrt(variances[c] * share + eps)
        if scale is not None:
            made[c] *= scale.arrays[0][c]
            if len(scale.arrays) > 1:
                made[c] += scale.arrays[1][c]
    return made


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("scale_blobs", [0, 1, 2])
@pytest.mark.parametrize("weight", [1.0, 999.0])
def test_a_folded_convolution_does_what_the_three_layers_did(
    has_bias: bool, scale_blobs: int, weight: float
) -> None:
    kernel, bias = RNG.normal(size=(5, 3, 2, 3)), RNG.normal(size=5) if has_bias else None
    norm = batch_norm(5, weight)
    blobs = [RNG.normal(size=5) for _ in range(scale_blobs)]
    scale = layer("Scale", *blobs) if blobs else None
    x = RNG.normal(size=(3, 5, 7))
    wanted = normalised(convolved(x, kernel, bias), norm, scale, eps=1e-3)
    arrays = layer("Convolution", kernel, *([bias] if bias is not None else [])).arrays
    folded = fold(arrays, affine_of(norm, scale, eps=1e-3))
    np.testing.assert_allclose(convolved(x, *folded), wanted, atol=1e-5)


def test_statistics_without_weight_count_as_zero() -> None:
    norm = layer("BatchNorm", np.full(2, 7), np.full(2, 7), np.zeros(1))
    affine = affine_of(norm, None, eps=0.25)
    assert affine.factor.tolist() == [2, 2]
    assert affine.shift.tolist() == [0, 0]


def test_a_bias_of_a_legacy_file_folds_as_well() -> None:
    norm = layer("BatchNorm", np.zeros(2), np.ones(2), np.ones(1))
    arrays = layer("Convolution", np.ones((2, 1, 1, 1)), np.array([3.0, 5.0]).reshape(1, 1, 1, 2)).arrays
    weight, bias = fold(arrays, affine_of(norm, None, eps=0.0))
    assert weight.shape == (2, 1, 1, 1)
    assert bias.tolist() == [3, 5]


def test_every_fourth_output_and_the_kernels_grid_stay() -> None:
    full = np.arange(8 * 3 * 7 * 7, dtype=np.float32).reshape(8, 3, 7, 7)
    thin = decimate(full, (2, 3, 3, 3))
    for o, c, i, j in np.ndindex(thin.shape):
        assert thin[o, c, i, j] == full[4 * o, c, 3 * i, 3 * j]


def test_inputs_are_thinned_as_the_layer_before_was() -> None:
    weight, bias = np.arange(8 * 8, dtype=np.float32).reshape(8, 8, 1, 1), np.arange(8, dtype=np.float32)
    assert decimate(bias, (2,)).tolist() == [0, 4]
    assert decimate(weight, (2, 2, 1, 1)).reshape(-1).tolist() == [0, 4, 32, 36]
