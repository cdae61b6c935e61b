"""resize_param: sizes, pixels and boxes of every mode, padding and interpolation."""

from __future__ import annotations

import logging
from itertools import product

import cv2
import numpy as np
import pytest

from caffeflow.engine.feed.draws import Draws
from caffeflow.engine.feed.ground_truth import GroundTruth
from caffeflow.engine.feed.resizing import Resizing
from caffeflow.errors import DataError, NetError
from tests.support.annotated_records import layer_with
from tests.support.oracles import annotated_augmentation as oracle

MODES = ("WARP", "FIT_SMALL_SIZE", "FIT_LARGE_SIZE_AND_PAD")
BORDERS = {
    "CONSTANT": cv2.BORDER_CONSTANT,
    "MIRRORED": cv2.BORDER_REFLECT_101,
    "REPEAT_NEAREST": cv2.BORDER_REPLICATE,
}
INTERPOLATIONS = {
    "LINEAR": cv2.INTER_LINEAR,
    "AREA": cv2.INTER_AREA,
    "NEAREST": cv2.INTER_NEAREST,
    "CUBIC": cv2.INTER_CUBIC,
    "LANCZOS4": cv2.INTER_LANCZOS4,
}
SIZES = ((13, 29), (29, 13), (17, 17), (5, 41), (19, 31))
DRAWS = Draws(1, "data").of_record(0)


def resizing(fields: str) -> Resizing:
    found = Resizing.find(layer_with(f"transform_param {{ resize_param {{ {fields} }} }}"))
    assert found is not None
    return found


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(height * 100 + width)
    shape = (height, width, channels) if channels > 1 else (height, width)
    return rng.integers(0, 256, shape, np.uint8)


def test_without_the_message_nothing_is_resized() -> None:
    assert Resizing.find(layer_with("transform_param { mirror: true }")) is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("asked", [(7, 11), (37, 23)])
def test_pixels_are_opencvs(mode: str, interpolation: str, asked: tuple[int, int]) -> None:
    height, width = asked
    subject = resizing(f"resize_mode: {mode} height: {height} width: {width} interp_mode: {interpolation}")
    for size in SIZES:
        image = picture(*size)
        expected = oracle.resized_picture(
            image, mode=mode, height=height, width=width, interpolation=INTERPOLATIONS[interpolation]
        )
        found = subject.picture(image, DRAWS)
        assert found.shape[:2] == subject.rule.size(*size) == expected.shape[:2]
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("padding", BORDERS)
@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ("", (0, 0, 0)),
        ("pad_value: 9", (9, 9, 9)),
        ("pad_value: 1.5 pad_value: 20 pad_value: 300", (1.5, 20, 300)),
    ],
)
def test_margins_show_what_is_asked_for(padding: str, fields: str, value: tuple[float, ...]) -> None:
    mode = "FIT_LARGE_SIZE_AND_PAD"
    subject = resizing(f"resize_mode: {mode} height: 23 width: 31 pad_mode: {padding} {fields}")
    for size in SIZES:
        expected = oracle.resized_picture(
            picture(*size), mode=mode, height=23, width=31, interpolation=cv2.INTER_LINEAR,
            border=BORDERS[padding], value=value,
        )  # fmt: skip
        assert np.array_equal(subject.picture(picture(*size), DRAWS), expected)


def test_a_gray_picture_stays_gray_and_takes_one_margin_value() -> None:
    subject = resizing("resize_mode: FIT_LARGE_SIZE_AND_PAD height: 23 width: 31 pad_value: 7")
    found = subject.picture(picture(5, 41, channels=1), DRAWS)
    assert found.shape == (23, 31)
    assert (found[0] == 7).all()
    two = resizing("resize_mode: FIT_LARGE_SIZE_AND_PAD height: 5 width: 5 pad_value: 7 pad_value: 8")
    with pytest.raises(DataError, match="2 pad_value for 3 channels"):
        two.picture(picture(5, 41), DRAWS)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES)
def test_boxes_follow_with_margins_that_are_not_rounded(mode: str, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(11)
    boxes = np.sort(rng.uniform(-0.2, 1.2, (23, 2, 2)), axis=1).reshape(-1, 4).astype(np.float32)
    rows = np.column_stack([np.zeros((23, 2)), boxes, np.zeros(23)]).astype(np.float32)
    for asked in ((7, 11), (37, 23)):
        subject = resizing(f"resize_mode: {mode} height: {asked[0]} width: {asked[1]}")
        found = subject.boxes(GroundTruth(rows), size).boxes
        for box, expected in zip(boxes, found, strict=True):
            assert oracle.resized_box(list(box), mode=mode, old=size, new=asked) == list(expected)


def test_boxes_are_told_as_fractions_of_the_scale_at_last() -> None:
    # 20 x 40 covers 10 x 10 as 10 x 20; the crop of 10 x 10 in its middle is half of the width.
    subject = resizing("resize_mode: FIT_SMALL_SIZE height: 10 width: 10 height_scale: 5 width_scale: 8")
    row = np.array([[1, 0, 0.25, 0.5, 0.75, 1, 0]], np.float32)
    crop = np.array([0.25, 0, 0.75, 1], np.float32)
    found = subject.rescaled(GroundTruth(row), (20, 40), crop)
    assert found.boxes[0].tolist() == pytest.approx([0.25 * 10 / 8, 0.5 * 10 / 5, 0.75 * 10 / 8, 1 * 10 / 5])
    assert subject.rescaled(GroundTruth(row[:0]), (20, 40), crop).rows.shape == (0, 7)
    with pytest.raises(DataError, match=r"the crop is 10 x 4, which height_scale 5"):
        subject.rescaled(GroundTruth(row), (20, 40), np.array([0, 0, 0.2, 1], np.float32))


def test_each_interpolation_is_drawn_equally_often() -> None:
    subject = resizing("height: 3 width: 5 " + " ".join(f"interp_mode: {name}" for name in INTERPOLATIONS))
    image = picture(11, 13)
    results = {
        name: cv2.resize(image, (5, 3), interpolation=value).tobytes()
        for name, value in INTERPOLATIONS.items()
    }
    assert len(set(results.values())) == 5
    counts = dict.fromkeys(results.values(), 0)
    draws = Draws(2, "data")
    for number in range(1500):
        counts[subject.picture(image, draws.of_record(number)).tobytes()] += 1
    assert min(counts.values()) > 240
    assert max(counts.values()) < 360


def test_sizes_of_extreme_pictures_are_at_least_a_pixel() -> None:
    subject = resizing("resize_mode: FIT_LARGE_SIZE_AND_PAD height: 10 width: 10")
    assert subject.picture(picture(1, 50), DRAWS).shape == (10, 10, 3)
    assert subject.picture(picture(50, 1), DRAWS).shape == (10, 10, 3)


@pytest.mark.parametrize("fields", ["", "height: 5", "width: 5", "height: 0 width: 5"])
def test_both_sides_must_be_given(fields: str) -> None:
    with pytest.raises(NetError, match="height and width above 0"):
        resizing(fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("prob: 0.5", "prob in resize_param has no effect"),
        ("height_scale: 3 width_scale: 3", "height_scale and width_scale"),
        ("resize_mode: FIT_SMALL_SIZE height_scale: 3", "height_scale and width_scale"),
    ],
)
def test_what_has_no_effect_is_said(fields: str, words: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert resizing(f"height: 5 width: 5 {fields}").scale is None
    assert words in caplog.text


def test_a_prob_of_one_is_customary_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        resizing("prob: 1 height: 5 width: 5")
    assert caplog.records == []


def test_the_modes_and_interpolations_of_the_schema_are_all_known() -> None:
    for mode, interpolation, padding in product(MODES, INTERPOLATIONS, BORDERS):
        resizing(f"height: 3 width: 3 resize_mode: {mode} interp_mode: {interpolation} pad_mode: {padding}")
