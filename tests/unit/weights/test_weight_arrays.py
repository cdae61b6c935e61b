from __future__ import annotations

import math

import numpy as np
import pytest

from caffeflow.proto.binary import LayerArrays
from caffeflow.weights.arrays import BlobStatistics, blob_statistics, moments_of, statistics_of

RNG = np.random.default_rng(7)
SHAPE = (31, 13, 5, 3)
FAN_IN, FAN_OUT = 13 * 5 * 3, 31 * 5 * 3


def statistics(array: np.ndarray, *, type_: str = "Convolution") -> BlobStatistics:
    layer = LayerArrays("conv", type_, ("data",), ("conv",), (array.astype(np.float32),))
    return blob_statistics(layer, 0)


def loop_moments(values: list[float]) -> tuple[float, float, float, float]:
    mean = sum(values) / len(values)
    second, third, fourth = (sum((v - mean) ** k for v in values) / len(values) for k in (2, 3, 4))
    return mean, math.sqrt(second), third / second**1.5, fourth / second**2


def test_numbers_are_those_of_a_plain_loop() -> None:
    array = RNG.normal(0.5, 2, (2, 3, 5)).astype(np.float32)
    mean, std, skewness, kurtosis = loop_moments([float(v) for v in array.flat])
    found = statistics(array)
    assert (found.shape, found.count) == ((2, 3, 5), 30)
    assert (found.minimum, found.maximum) == (array.min(), array.max())
    assert (found.mean, found.std) == pytest.approx((mean, std), rel=1e-9)
    moments = moments_of(array)
    assert (moments.skewness, moments.kurtosis) == pytest.approx((skewness, kurtosis), rel=1e-9)


def test_a_large_offset_does_not_spoil_the_deviation() -> None:
    array = (1000 + RNG.normal(0, 0.01, (1 << 20) + 7)).astype(np.float32)
    assert statistics(array).std == pytest.approx(np.std(array.astype(np.float64)), rel=1e-9)


def test_nan_and_inf_are_counted_beside_the_finite_values() -> None:
    found = statistics(np.array([0, 0, 3, math.nan, math.inf, -math.inf, -1, 0]))
    assert (found.nans, found.infinities) == (1, 2)
    assert (found.minimum, found.maximum, found.mean) == (-1, 3, pytest.approx(0.4))
    assert found.zeros == 3 / 8
    assert found.looks_like == ""


def test_a_blob_of_nothing_but_nan_has_no_mean() -> None:
    found = statistics(np.full((2, 3), math.nan))
    assert found.nans == 6
    assert math.isnan(found.mean)
    assert math.isnan(found.minimum)


def test_an_empty_blob_is_described() -> None:
    found = statistics(np.zeros((0, 3)))
    assert (found.count, found.zeros, found.looks_like) == (0, 0, "")


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros(3), "constant 0"),
        (np.full(SHAPE, 0.2), "constant 0.2"),
        (RNG.uniform(-1, 1, SHAPE) * math.sqrt(3 / FAN_IN), "xavier"),
        (RNG.uniform(-1, 1, SHAPE) * math.sqrt(3 / FAN_OUT), "xavier FAN_OUT"),
        (RNG.uniform(-1, 1, SHAPE) * math.sqrt(6 / (FAN_IN + FAN_OUT)), "xavier AVERAGE"),
        (RNG.normal(0, math.sqrt(2 / FAN_IN), SHAPE), "msra"),
        (RNG.normal(0, math.sqrt(2 / FAN_OUT), SHAPE), "msra FAN_OUT"),
        (RNG.standard_t(4, SHAPE) * 0.01, ""),
        (RNG.normal(0, 1, SHAPE) * RNG.uniform(0.2, 1, (31, 1, 1, 1)), ""),
        (np.abs(RNG.normal(0, 1, SHAPE)), ""),
        (RNG.uniform(-1, 1, 50), ""),
    ],
)
def test_guess_of_the_filler(array: np.ndarray, expected: str) -> None:
    assert statistics(array).looks_like == expected


@pytest.mark.parametrize(
    ("array", "start"),
    [
        (RNG.normal(0, 0.01, SHAPE), "gaussian std 0.0"),
        (RNG.normal(0.5, 0.01, SHAPE), "gaussian mean 0.5 std 0.0"),
        (RNG.uniform(-0.3, 0.3, SHAPE), "uniform -0.3 to 0.3"),
        (RNG.uniform(0.01, 1, SHAPE), "uniform 0.0"),
    ],
)
def test_guess_of_a_filler_with_a_number(array: np.ndarray, start: str) -> None:
    assert statistics(array).looks_like.startswith(start)


@pytest.mark.parametrize("size", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("is_bvlc", [True, False])
def test_bilinear_kernels_of_both_trees_are_known(size: int, is_bvlc: bool) -> None:
    factor = math.ceil(size / 2)
    centre = (size - 1) / (2 * factor) if is_bvlc else (2 * factor - 1 - factor % 2) / (2 * factor)
    kernel = np.zeros((size, size))
    for y in range(size):
        for x in range(size):
            kernel[y, x] = (1 - abs(x / factor - centre)) * (1 - abs(y / factor - centre))
    array = np.broadcast_to(kernel, (53, 1, size, size))
    assert statistics(array).looks_like == "bilinear"
    bent = array.copy()
    bent[:, 0, 0, 0] += 0.25
    assert statistics(bent).looks_like == ""


def test_fillers_are_guessed_for_almost_every_seed() -> None:
    right = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        right += statistics(rng.normal(0, math.sqrt(2 / 13), (17, 13))).looks_like == "msra"
        right += statistics(rng.uniform(-1, 1, (17, 13)) * math.sqrt(3 / 13)).looks_like == "xavier"
    assert right >= 190


def test_blobs_are_named_by_what_they_are() -> None:
    three = tuple(np.ones(n, np.float32) for n in (2, 2, 1))
    layers = [
        LayerArrays("data", "Input", (), ("data",), ()),
        LayerArrays("bn", "BatchNorm", ("data",), ("bn",), three),
        LayerArrays("scale", "Scale", ("bn",), ("bn",), three[:2]),
        LayerArrays("odd", "LSTM", ("bn",), ("x",), three),
    ]
    assert [(s.layer, s.blob) for s in statistics_of(layers)] == [
        ("bn", "mean"), ("bn", "variance"), ("bn", "factor"), ("scale", "scale"), ("scale", "bias"),
        ("odd", "weight"), ("odd", "bias"), ("odd", "blob 2"),
    ]  # fmt: skip
