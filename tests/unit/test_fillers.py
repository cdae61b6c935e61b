import math

import numpy as np
import pytest

from caffeflow.errors import NetError
from caffeflow.fillers import fill
from caffeflow.proto.caffe_pb2 import FillerParameter


def rng():
    return np.random.default_rng(7)


def filled(shape, **fields):
    values = fill(FillerParameter(**fields), shape, rng())
    assert values.shape == shape
    assert values.dtype == np.float32
    return values


def test_no_filler_is_zeros():
    assert not fill(None, (2, 3), rng()).any()


def test_a_filler_without_type_is_constant_zero():
    assert not filled((2, 3)).any()


def test_constant():
    assert (filled((2, 3), type="constant", value=0.25) == 0.25).all()


def test_uniform_stays_between_its_bounds_and_spreads_over_them():
    values = filled((101, 103), type="uniform", min=-2, max=3)
    assert values.min() >= -2
    assert values.max() <= 3
    assert values.mean() == pytest.approx(0.5, abs=0.05)
    assert values.std() == pytest.approx(5 / math.sqrt(12), rel=0.02)


def test_uniform_without_bounds_is_0_to_1():
    values = filled((101, 103), type="uniform")
    assert values.min() >= 0
    assert values.max() <= 1


def test_gaussian():
    values = filled((101, 103), type="gaussian", mean=3, std=0.5)
    assert values.mean() == pytest.approx(3, abs=0.03)
    assert values.std() == pytest.approx(0.5, rel=0.03)


def test_sparse_gaussian_keeps_sparse_of_the_first_dimension():
    values = filled((20, 5003), type="gaussian", std=1, sparse=5)
    assert np.count_nonzero(values) / values.size == pytest.approx(0.25, abs=0.01)


def test_positive_unitball_sums_to_one_along_the_first_axis():
    values = filled((3, 5, 7), type="positive_unitball")
    assert values.min() >= 0
    np.testing.assert_allclose(values.reshape(3, -1).sum(axis=1), 1, rtol=1e-6)


# Convolution [O, I/g, kh, kw] = [64, 16, 3, 5]: fan_in 16*15, fan_out 64*15. Inner product [N, K]: K and N.
@pytest.mark.parametrize(
    ("shape", "norm", "n"),
    [
        ((64, 16, 3, 5), "FAN_IN", 240),
        ((64, 16, 3, 5), "FAN_OUT", 960),
        ((64, 16, 3, 5), "AVERAGE", 600),
        ((100, 50), "FAN_IN", 50),
        ((100, 50), "FAN_OUT", 100),
        ((100, 51), "AVERAGE", 75.5),
    ],
)
def test_fans(shape, norm, n):
    xavier = filled(shape, type="xavier", variance_norm=norm)
    bound = math.sqrt(3 / n)
    assert np.abs(xavier).max() <= bound * (1 + 1e-6)
    assert np.abs(xavier).max() > 0.99 * bound
    msra = filled(shape, type="msra", variance_norm=norm)
    assert msra.std() == pytest.approx(math.sqrt(2 / n), rel=0.05)


def test_xavier_counts_inputs_only_by_default():
    assert np.abs(filled((100, 50), type="xavier")).max() == pytest.approx(math.sqrt(3 / 50), rel=0.01)


def test_fan_out_of_a_vector_is_its_size():
    assert np.abs(filled((1009,), type="xavier", variance_norm="FAN_OUT")).max() <= math.sqrt(3 / 1009)


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6, 7])
def test_bilinear_follows_the_formula_for_every_filter(size):
    values = filled((2, 3, size, size), type="bilinear")
    half = math.ceil(size / 2)
    centre = (size - 1) / (2 * half)
    for y in range(size):
        for x in range(size):
            expected = (1 - abs(x / half - centre)) * (1 - abs(y / half - centre))
            np.testing.assert_allclose(values[:, :, y, x], expected, rtol=1e-6)


def test_the_same_generator_gives_the_same_values():
    filler = FillerParameter(type="msra")
    assert (fill(filler, (5, 7), rng()) == fill(filler, (5, 7), rng())).all()


@pytest.mark.parametrize(
    ("fields", "shape", "words"),
    [
        ({"type": "xaver"}, (2, 3), ["xaver", "did you mean 'xavier'", "gaussian"]),
        ({"type": "uniform", "min": 2, "max": 1}, (2, 3), ["min 2", "max 1"]),
        ({"type": "gaussian", "std": 0}, (2, 3), ["std 0"]),
        ({"type": "gaussian", "sparse": -2}, (2, 3), ["sparse -2"]),
        ({"type": "xavier", "sparse": 3}, (2, 3), ["sparse", "xavier"]),
        ({"type": "bilinear"}, (2, 3, 3, 5), ["bilinear", "2 x 3 x 3 x 5"]),
        ({"type": "bilinear"}, (3, 3), ["bilinear", "3 x 3"]),
    ],
)
def test_what_caffe_refuses_is_refused_with_a_reason(fields, shape, words):
    with pytest.raises(NetError) as caught:
        fill(FillerParameter(**fields), shape, rng())
    for word in words:
        assert word in str(caught.value)
