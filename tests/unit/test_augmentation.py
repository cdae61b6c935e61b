"""Windows of training pictures and their colours: against loops, by statistics, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from caffeflow import augmentation, splitmix
from caffeflow.augmentation import Augmentation, Window, augmented, find_window, jitter, show
from caffeflow.errors import UsageError
from tests.support.oracles import random_windows as oracle

ASKED = [
    Augmentation(augment="crop"),
    Augmentation(augment="inception"),
    Augmentation(rand_scale=(0.5, 1.0)),
    Augmentation(augment="crop", rand_scale=(0.2, 0.3)),
    Augmentation(augment="inception", rand_scale=(0.5, 1.0)),
    Augmentation(color_jitter=0.4),
]


def rows(count: int, *, seed: int = 5) -> np.ndarray:
    return splitmix.units(splitmix.base_of(seed, "data"), np.arange(count), augmentation.UNITS)


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, shape, np.uint8)


def test_numbers_of_a_record_are_splitmix64() -> None:
    records = np.array([0, 1, 2, 1_281_167, 2**40])
    found = splitmix.units(splitmix.base_of(5, "data"), records, augmentation.UNITS)
    assert found.tolist() == [oracle.units(5, "data", int(record)) for record in records]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.options)
@pytest.mark.parametrize(
    ("size", "wanted"),
    [((32, 32), (32, 32)), ((37, 53), (23, 29)), ((29, 101), (29, 29)), ((31, 43), (7, 29))],
)
def test_windows_are_the_oracles(asked: Augmentation, size: tuple[int, int], wanted: tuple[int, int]) -> None:
    for units in rows(200):
        found = find_window(asked, size, wanted, units)
        expected = oracle.window(asked.augment, asked.rand_scale, size, wanted, units.tolist())
        assert (found.top, found.left, found.height, found.width) == expected


def drawn(asked: Augmentation, size: tuple[int, int], wanted: tuple[int, int]) -> np.ndarray:
    """Returns top, left, height, width of 4000 windows."""
    windows = [find_window(asked, size, wanted, units) for units in rows(4000)]
    return np.array([(each.top, each.left, each.height, each.width) for each in windows], float)


def check_uniform(values: np.ndarray, low: float, high: float, *, rounded: float = 0.01) -> None:
    """Compares range, mean and variance with those of a uniform distribution, within four standard errors.

    Windows have whole pixels, so that values are off by up to `rounded`.
    """
    assert values.min() >= low - rounded
    assert values.max() <= high + rounded
    width, count = high - low, len(values)
    assert abs(values.mean() - (low + high) / 2) < 4 * width / math.sqrt(12 * count)
    assert abs(values.var() / (width**2 / 12) - 1) < 4 * math.sqrt(0.8 / count)


def test_inception_windows_have_uniform_shares_and_log_uniform_shapes() -> None:
    size = (601, 599)
    top, left, height, width = drawn(Augmentation(augment="inception", rand_scale=(0.1, 0.5)), size, (7, 7)).T
    check_uniform(height * width / (size[0] * size[1]), 0.1, 0.5)
    check_uniform(np.log(width / height), math.log(3 / 4), math.log(4 / 3))
    check_uniform(top / (size[0] - height), 0, 1)
    check_uniform(left / (size[1] - width), 0, 1)


def test_inception_draws_again_what_does_not_fit() -> None:
    """Without a second try a sixth of all windows would be the fallback, which shows the whole."""
    top, left, height, width = drawn(Augmentation(augment="inception"), (211, 211), (7, 7)).T
    shares = height * width / 211**2
    assert shares.min() > 0.079
    assert np.mean((height == 211) & (width == 211)) < 0.005
    assert (top >= 0).all()
    assert (left + width <= 211).all()


def test_where_no_window_fits_the_largest_in_the_middle_is_taken() -> None:
    whole = Augmentation(augment="inception", rand_scale=(1.0, 1.0))
    for size, expected in {
        (11, 101): Window(0, 43, 11, 15),
        (101, 11): Window(43, 0, 15, 11),
    }.items():
        assert {find_window(whole, size, (5, 5), units) for units in rows(20)} == {expected}


def test_rand_scale_alone_keeps_the_crops_shape() -> None:
    asked, size, wanted = Augmentation(rand_scale=(0.25, 1.0)), (600, 1000), (300, 200)
    top, left, height, width = drawn(asked, size, wanted).T
    assert np.abs(height / width - 1.5).max() < 0.01
    check_uniform((height / 600) ** 2, 0.25, 1)
    check_uniform(left / (1000 - width), 0, 1)
    assert (top + height <= 600).all()


def test_crop_moves_a_picture_by_an_eighth_of_the_crop() -> None:
    top, left, height, width = drawn(Augmentation(augment="crop"), (32, 37), (32, 32)).T
    assert sorted(set(top)) == list(range(-4, 5))
    assert sorted(set(left)) == list(range(6))  # there is room already
    assert {*height, *width} == {32}
    shares = np.unique(top, return_counts=True)[1] / len(top)
    assert np.abs(shares - 1 / 9).max() < 0.02


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("window", "wanted"),
    [
        (Window(-2, 3, 7, 7), (7, 7)),
        (Window(2, 3, 5, 7), (11, 13)),
        (Window(1, 0, 11, 13), (7, 11)),
        (Window(0, 0, 23, 29), (5, 7)),
        (Window(0, 0, 23, 7), (5, 11)),
    ],
)
def test_a_window_is_shown_as_by_loops(window: Window, wanted: tuple[int, int], channels: int) -> None:
    whole = picture(23, 29, channels)
    at = (window.top, window.left, window.height, window.width)
    expected = oracle.shown(whole, at, wanted)
    found = show(whole[..., 0] if channels == 1 else whole, window, wanted).reshape(*wanted, channels)
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found, expected, atol=0.8)  # half from rounding, the rest OpenCV's weights
    floats = show(whole.astype(np.float32), window, wanted).reshape(*wanted, channels)
    np.testing.assert_allclose(floats, expected, atol=1e-3)


@pytest.mark.parametrize("strength", [0.1, 0.4, 1.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_colours_change_as_by_loops(channels: int, strength: float) -> None:
    whole = picture(5, 7, channels)
    for units in rows(40):
        expected = np.clip(oracle.jittered(whole, strength, units.tolist()), 0, 255)
        found = jitter(whole[..., 0] if channels == 1 else whole, strength, units).reshape(5, 7, channels)
        assert found.dtype == np.uint8
        np.testing.assert_allclose(
            found, expected, atol=1.0
        )  # half from rounding, half from OpenCV's weights


def test_colour_factors_are_uniform_and_all_orders_come() -> None:
    units = rows(4000)
    even = np.full((2, 3), 100, np.uint8)  # contrast leaves it as it is, so only brightness shows
    shades = np.array([float(jitter(even, 0.5, row)[0, 0]) for row in units])
    check_uniform(shades / 100, 0.5, 1.5)
    orders = np.bincount((units[:, 0] * 6).astype(int))
    assert len(orders) == 6
    assert abs(orders / 4000 - 1 / 6).max() < 0.03


def test_what_is_drawn_for_colours_leaves_windows_where_they_were() -> None:
    with_colours = Augmentation(augment="inception", color_jitter=0.4)
    for units in rows(20):
        here = find_window(Augmentation(augment="inception"), (37, 53), (23, 29), units)
        assert find_window(with_colours, (37, 53), (23, 29), units) == here


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.options)
def test_a_copy_has_the_size_of_its_picture(asked: Augmentation) -> None:
    for shape in ((23, 29, 3), (23, 29)):
        whole = picture(*shape)
        copies = [augmented(whole, asked, units) for units in rows(5)]
        assert {(copy.shape, copy.dtype.name) for copy in copies} == {(shape, "uint8")}
        assert len({copy.tobytes() for copy in copies}) == 5


def test_options_come_back_from_json_and_say_how_they_were_typed() -> None:
    asked = Augmentation(augment="inception", rand_scale=(0.25, 1.0), color_jitter=0.4)
    assert Augmentation.from_record(json.loads(json.dumps(asked.as_record()))) == asked
    assert asked.options == "--augment inception --rand-scale 0.25 1 --color-jitter 0.4"
    assert Augmentation.find(augment=None, rand_scale=None, color_jitter=None) is None
    for each in ASKED:
        assert Augmentation.from_record(json.loads(json.dumps(each.as_record()))) == each


@pytest.mark.parametrize("shares", [(0.0, 1.0), (0.5, 0.4), (0.5, 1.5), (-1.0, 1.0), (math.nan, 1.0)])
def test_shares_out_of_range_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match=r"--rand-scale is .* above 0 and up to 1"):
        Augmentation(rand_scale=shares)


@pytest.mark.parametrize("strength", [0.0, -0.1, 1.5, math.nan])
def test_a_jitter_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(UsageError, match=r"--color-jitter is .* above 0 and up to 1"):
        Augmentation(color_jitter=strength)
