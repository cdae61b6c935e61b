"""noise_param: each change against OpenCV's own call, their order, salt and pepper, what cannot work."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest

from caffeflow.engine.feed.draws import Draws
from caffeflow.engine.feed.noise import Noise
from caffeflow.errors import DataError, NetError
from tests.support.annotated_records import layer_with
from tests.support.pictures import photo

DRAWS = Draws(1, "data")
GRAY = photo()[..., 0].copy()


def noise(fields: str) -> Noise:
    found = Noise.find(layer_with(f"transform_param {{ noise_param {{ {fields} }} }}"))
    assert found is not None
    return found


def apply(fields: str, image: np.ndarray, *, record: int = 0) -> np.ndarray:
    return noise(fields).picture(image, DRAWS.of_record(record))


def on_luma(image: np.ndarray, change) -> np.ndarray:
    planes = list(cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb)))
    planes[0] = change(planes[0])
    return cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2BGR)


def by_hand(field: str, image: np.ndarray) -> np.ndarray:
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    clahe = cv2.createCLAHE(clipLimit=4, tileGridSize=(8, 8))
    is_gray = image.ndim == 2
    changes = {
        "decolorize": lambda: cv2.merge([cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)] * 3),
        "gauss_blur": lambda: cv2.GaussianBlur(image, (7, 7), 1.5, sigmaY=1.5),
        "hist_eq": lambda: cv2.equalizeHist(image) if is_gray else on_luma(image, cv2.equalizeHist),
        "clahe": lambda: clahe.apply(image) if is_gray else on_luma(image, clahe.apply),
        "erode": lambda: cv2.erode(image, cross),
        "posterize": lambda: (image // 64 * 64 + 32).astype(np.uint8),
        "inverse": lambda: 255 - image,
        "convert_to_hsv": lambda: cv2.cvtColor(image, cv2.COLOR_BGR2HSV),
    }
    return changes[field]()


ORDER = ("decolorize", "gauss_blur", "hist_eq", "clahe", "erode", "posterize", "inverse", "convert_to_hsv")
FOR_GRAY = tuple(field for field in ORDER if field not in ("decolorize", "convert_to_hsv"))


@pytest.mark.parametrize("field", ORDER)
def test_each_change_is_opencvs(field: str) -> None:
    found = apply(f"{field}: true", photo())
    assert np.array_equal(found, by_hand(field, photo()))
    assert not np.array_equal(found, photo())


@pytest.mark.parametrize("field", FOR_GRAY)
def test_changes_of_gray_pictures_stay_gray(field: str) -> None:
    found = apply(f"{field}: true", GRAY)
    assert found.shape == GRAY.shape
    assert np.array_equal(found, by_hand(field, GRAY))


def test_all_together_go_in_ssds_order() -> None:
    expected = photo()
    for field in ORDER:
        expected = by_hand(field, expected)
    fields = " ".join(f"{field}: true" for field in reversed(ORDER))
    assert np.array_equal(apply(fields, photo()), expected)


def test_jpeg_comes_between_clahe_and_erosion_and_loses_digits() -> None:
    quality = [cv2.IMWRITE_JPEG_QUALITY, 35]
    packed = cv2.imdecode(cv2.imencode(".jpg", by_hand("clahe", photo()), quality)[1], cv2.IMREAD_COLOR)
    found = apply("clahe: true erode: true jpeg: 35.9", photo())
    assert np.array_equal(found, by_hand("erode", packed))


def test_nothing_asked_for_changes_nothing() -> None:
    assert np.array_equal(apply("jpeg: 0", photo()), photo())


@pytest.mark.parametrize(("image", "value"), [(photo(), (7, 8, 9)), (GRAY, (7,))])
def test_salt_falls_on_a_part_of_the_pixels(image: np.ndarray, value: tuple[int, ...]) -> None:
    fields = (
        "saltpepper: true saltpepper_param { fraction: 0.1 " + " ".join(f"value: {v}" for v in value) + "}"
    )
    before = image.copy()
    found = apply(fields, image)
    changed = (found != image).reshape(*image.shape[:2], -1).any(axis=2)
    count = int(0.1 * image.shape[0] * image.shape[1])
    assert 0.85 * count < changed.sum() <= count  # a pixel may be hit twice
    assert (found[changed] == (value if image.ndim == 3 else value[0])).all()
    assert np.array_equal(image, before)  # the record may be shared
    assert np.array_equal(found, apply(fields, image))
    assert not np.array_equal(found, apply(fields, image, record=1))


def test_one_value_of_salt_is_for_all_channels() -> None:
    found = apply("saltpepper: true saltpepper_param { fraction: 1 value: 250.7 }", photo())
    assert (found == 250).all(axis=2).sum() > 0.5 * found.shape[0] * found.shape[1]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("convert_to_lab: true", "convert_to_lab"),
        ("saltpepper: true", "has no colour"),
        ("saltpepper: true saltpepper_param { value: 256 }", "from 0 to 255"),
    ],
)
def test_what_caffe_reads_garbage_from_is_refused(fields: str, words: str) -> None:
    with pytest.raises(NetError, match=words):
        noise(fields)


@pytest.mark.parametrize("field", ["decolorize: true", "convert_to_hsv: true", "jpeg: 50"])
def test_colours_are_needed_where_they_are_changed(field: str) -> None:
    with pytest.raises(DataError, match=f"gray, and {field.split(':')[0]}"):
        apply(field, GRAY)


def test_numbers_of_channels_are_named() -> None:
    with pytest.raises(DataError, match="4 channels"):
        apply("erode: true", np.zeros((5, 7, 4), np.uint8))
    with pytest.raises(DataError, match="2 value in saltpepper_param for 3 channels"):
        apply("saltpepper: true saltpepper_param { value: 1 value: 2 }", photo())


def test_prob_is_never_read_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        noise("prob: 0.5 inverse: true")
    assert "prob in noise_param has no effect" in caplog.text
