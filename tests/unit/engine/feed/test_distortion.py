"""distort_param against SSD's steps in numpy and OpenCV, one by one and in both orders."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from caffeflow.engine.feed.distortion import Distortion
from caffeflow.engine.feed.draws import Draw, Draws, RecordDraws
from caffeflow.errors import DataError, NetError
from tests.support.annotated_records import layer_with
from tests.support.oracles import annotated_augmentation as oracle
from tests.support.pictures import photo

ALL = """brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5 contrast_lower: 0.5 contrast_upper: 1.5
    hue_prob: 0.5 hue_delta: 18 saturation_prob: 0.5 saturation_lower: 0.5 saturation_upper: 1.5"""


def distortion(fields: str) -> Distortion:
    found = Distortion.find(layer_with(f"transform_param {{ distort_param {{ {fields} }} }}"))
    assert found is not None
    return found


def noisy(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (47, 61, 3), np.uint8)


def expected_steps(draws: RecordDraws) -> list[tuple[str, float]]:
    """What SSD would do with the numbers of a record."""
    drawn = {}
    for name, acts, amount, low, high in (
        ("brightness", Draw.BRIGHTNESS_ACTS, Draw.BRIGHTNESS, -32, 32),
        ("contrast", Draw.CONTRAST_ACTS, Draw.CONTRAST, 0.5, 1.5),
        ("saturation", Draw.SATURATION_ACTS, Draw.SATURATION, 0.5, 1.5),
        ("hue", Draw.HUE_ACTS, Draw.HUE, -18, 18),
    ):
        if draws.acts(acts, 0.5):
            drawn[name] = draws.uniform(amount, low, high)
    late = draws.acts(Draw.ORDER, 0.5)
    order = ("brightness", "saturation", "hue", "contrast") if late else (
        "brightness", "contrast", "saturation", "hue"
    )  # fmt: skip
    return [(name, drawn[name]) for name in order if name in drawn]


def test_two_hundred_records_are_distorted_as_by_ssds_steps() -> None:
    subject, draws = distortion(ALL), Draws(3, "data")
    seen = set()
    for number in range(200):
        steps = expected_steps(draws.of_record(number))
        seen.add(tuple(name for name, _ in steps))
        found = subject.picture(noisy(number), draws.of_record(number))
        assert np.array_equal(found, oracle.distort(noisy(number), steps)), steps
    assert len(seen) >= 20  # of 16 subsets, those with contrast and another in two orders


def test_a_part_of_the_picture_is_distorted_like_the_whole() -> None:
    subject, draws = distortion(ALL), Draws(3, "data")
    for number in range(40):
        whole = subject.picture(noisy(), draws.of_record(number))
        part = subject.picture(noisy()[5:31, 7:58], draws.of_record(number))
        assert np.array_equal(part, whole[5:31, 7:58])


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [("brightness", -32, 32), ("contrast", 0.5, 1.5), ("saturation", 0.5, 1.5), ("hue", -18, 18)],
)
def test_amounts_cover_their_ranges_evenly(field: str, low: float, high: float) -> None:
    draw = Draw[field.upper()]
    draws = Draws(5, "data")
    amounts = np.array([draws.of_record(number).uniform(draw, low, high) for number in range(2000)])
    counts, _ = np.histogram(amounts, 10, (low, high))
    assert counts.sum() == 2000
    assert counts.min() > 140
    assert counts.max() < 260


def test_a_negative_hue_stops_at_red_and_a_large_one_goes_round() -> None:
    orange = cv2.cvtColor(np.full((1, 1, 3), (10, 255, 255), np.uint8), cv2.COLOR_HSV2BGR)
    magenta = cv2.cvtColor(np.full((1, 1, 3), (170, 255, 255), np.uint8), cv2.COLOR_HSV2BGR)
    red = np.array([0, 0, 255])
    subject = distortion("hue_prob: 1 hue_delta: 60")
    draws = Draws(1, "data")
    hues = {n: draws.of_record(n).uniform(Draw.HUE, -60, 60) for n in range(100)}
    low = next(n for n, hue in hues.items() if hue < -30)
    high = next(n for n, hue in hues.items() if 15 < hue < 30)
    assert np.array_equal(subject.picture(orange, draws.of_record(low))[0, 0], red)
    beyond = subject.picture(magenta, draws.of_record(high))
    hue = cv2.cvtColor(beyond, cv2.COLOR_BGR2HSV)[0, 0, 0]
    assert abs(int(hue) - (170 + hues[high] - 180)) <= 1


def test_the_way_to_hsv_and_back_is_taken_with_a_saturation_of_one() -> None:
    subject = distortion("saturation_prob: 1 saturation_lower: 1 saturation_upper: 1")
    found = subject.picture(noisy(), Draws(1, "data").of_record(0))
    there_and_back = cv2.cvtColor(cv2.cvtColor(noisy(), cv2.COLOR_BGR2HSV), cv2.COLOR_HSV2BGR)
    assert np.array_equal(found, there_and_back)
    assert not np.array_equal(found, noisy())


def test_a_contrast_near_one_does_nothing() -> None:
    subject = distortion("contrast_prob: 1 contrast_lower: 0.9995 contrast_upper: 1.0005")
    assert np.array_equal(subject.picture(noisy(), Draws(1, "data").of_record(0)), noisy())


def test_probabilities_of_zero_change_nothing() -> None:
    draws = Draws(1, "data")
    for number in range(20):
        assert np.array_equal(distortion("").picture(photo(), draws.of_record(number)), photo())


def test_channels_come_in_each_order_equally_often() -> None:
    subject, draws = distortion("random_order_prob: 1"), Draws(1, "data")
    pixel = np.array([[[1, 2, 3]]], np.uint8)
    orders = [tuple(subject.picture(pixel, draws.of_record(number))[0, 0].tolist()) for number in range(1200)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    assert min(counts) > 150
    assert max(counts) < 250


def test_gray_pictures_may_be_lighter_but_have_no_hue() -> None:
    gray = photo()[..., 0].copy()
    subject = distortion("brightness_prob: 1 brightness_delta: 32 contrast_prob: 0.5 contrast_upper: 1")
    subject.check(1)
    assert subject.picture(gray, Draws(1, "data").of_record(3)).shape == gray.shape
    for field in ("hue_prob", "saturation_prob", "random_order_prob"):
        with pytest.raises(DataError, match="it has 1 channel, and distort_param needs 3; set force_color"):
            distortion(f"{field}: 0.1").check(1)
    with pytest.raises(DataError, match="it has 4 channels"):
        distortion("hue_prob: 0.1").check(4)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("brightness_prob: 1 brightness_delta: -1", "brightness_delta is -1"),
        ("hue_prob: 1 hue_delta: -2", "hue_delta is -2"),
        ("contrast_prob: 1 contrast_lower: 2 contrast_upper: 1", "contrast_lower is 2 and contrast_upper 1"),
        ("saturation_prob: 1 saturation_lower: -1", "saturation_lower is -1"),
    ],
)
def test_ranges_that_are_none_are_refused(fields: str, words: str) -> None:
    with pytest.raises(NetError, match=words) as caught:
        distortion(fields)
    assert caught.value.layer == "data"
