"""`Classifier` and `Detector`: what the net gets to see of pictures and windows, and what comes back."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.errors import UsageError
from caffeflow.pycaffe.classifier import Classifier
from caffeflow.pycaffe.detector import Detector
from caffeflow.pycaffe.pictures import resize_image

# One net gives the sum of each channel that it sees, the other all of it.
SUMS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 3 dim: 3 dim: 5 dim: 5 } } }
layer { name: "sums" type: "Reduction" bottom: "data" top: "sums" reduction_param { axis: 2 } }
"""
SEEN = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 3 dim: 3 dim: 5 dim: 5 } } }
layer { name: "seen" type: "Flatten" bottom: "data" top: "seen" }
"""
MEAN = np.array([10.0, 20.0, 30.0])


@pytest.fixture
def pictures() -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.uniform(0, 1, shape).astype(np.float32) for shape in ((11, 13, 3), (7, 8, 3))]


def net_file(folder: Path, text: str) -> Path:
    (folder / "deploy.prototxt").write_text(text)
    return folder / "deploy.prototxt"


def seen(scores: np.ndarray) -> np.ndarray:
    return scores.reshape(-1, 3, 5, 5).transpose(0, 2, 3, 1)


def test_middle_crop_is_preprocessed(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    net = Classifier(
        net_file(tmp_path, SEEN), None, image_dims=(8, 9), mean=MEAN, raw_scale=255, channel_swap=(2, 1, 0)
    )
    scores = net.predict(pictures, oversample=False)
    for picture, found in zip(pictures, seen(scores), strict=True):
        crop = resize_image(picture, (8, 9))[1:6, 2:7]
        np.testing.assert_allclose(found, crop[:, :, ::-1] * 255 - MEAN, rtol=1e-4, atol=1e-4)


def test_ten_crops_are_averaged(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    net = Classifier(net_file(tmp_path, SUMS), None, image_dims=[8, 9], input_scale=0.5)
    scores = net.predict(pictures)
    assert scores.shape == (2, 3)
    for picture, found in zip(pictures, scores, strict=True):
        whole = resize_image(picture, (8, 9)) * 0.5
        corners = [(0, 0), (0, 4), (3, 0), (3, 4), (1, 2)]
        sums = [whole[top : top + 5, left : left + 5].sum(axis=(0, 1)) for top, left in corners]
        np.testing.assert_allclose(found, np.mean(sums, axis=0), rtol=1e-5)


def test_image_dims_are_the_inputs_unless_given(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    net = Classifier(net_file(tmp_path, SEEN), None)
    np.testing.assert_allclose(
        seen(net.predict(pictures[:1], oversample=False))[0], resize_image(pictures[0], (5, 5)), rtol=1e-6
    )


@pytest.mark.parametrize("oversample", [True, False])
def test_image_dims_below_the_input_are_refused(
    tmp_path: Path, pictures: list[np.ndarray], oversample: bool
) -> None:
    net = Classifier(net_file(tmp_path, SEEN), None, image_dims=(4, 9))
    with pytest.raises(ValueError, match="5x5"):
        net.predict(pictures, oversample=oversample)


def test_windows_are_scored_in_order(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    pixels = [random.integers(0, 256, (17, 19, 3), dtype=np.uint8) for _ in files]
    for path, picture in zip(files, pixels, strict=True):
        cv2.imwrite(str(path), picture)
    windows = [[(0, 0, 5, 5), (2, 3, 13, 17)], [np.array([1, 2, 6, 7])]]
    net = Detector(net_file(tmp_path, SEEN), None, raw_scale=255, channel_swap=(2, 1, 0))
    found = net.detect_windows(zip(files, windows, strict=True))
    assert [detection["filename"] for detection in found] == [files[0], files[0], files[1]]
    assert found[1]["window"] == (2, 3, 13, 17)
    # files are BGR, and so is what the net sees
    np.testing.assert_allclose(seen(found[0]["prediction"])[0], pixels[0][:5, :5], atol=1e-3)
    np.testing.assert_allclose(seen(found[2]["prediction"])[0], pixels[1][1:6, 2:7], atol=1e-3)
    resized = resize_image(pixels[0][2:13, 3:17].astype(np.float32), (5, 5))
    np.testing.assert_allclose(seen(found[1]["prediction"])[0], resized, atol=0.05)
    assert net.detect_windows([]) == []


def by_hand(
    picture: np.ndarray, window: tuple[int, ...], *, size: int, pad: int, fill: np.ndarray
) -> np.ndarray:
    """Returns what a detector with context crops, following R-CNN's rule a number at a time."""
    out = np.empty((size, size, picture.shape[2]))
    out[...] = fill
    spans = []
    for axis in (0, 1):
        half = (window[axis + 2] - window[axis] + 1) / 2
        centre = window[axis] + half
        begin = round(centre - half * size / (size - 2 * pad))
        end = round(centre + half * size / (size - 2 * pad))
        scale = size / (end - begin + 1)
        margin = round(max(0, -begin) * scale)
        first, last = (min(max(edge, 0), picture.shape[axis]) for edge in (begin, end))
        spans.append((first, last, margin, min(round((last - first + 1) * scale), size - margin)))
    (top, bottom, above, high), (left, right, beside, wide) = spans
    shown = resize_image(picture[top:bottom, left:right], (high, wide))
    out[above : above + high, beside : beside + wide] = shown
    return out


@pytest.mark.parametrize("window", [(3, 4, 9, 11), (0, 0, 5, 6), (8, 9, 16, 18), (0, 2, 17, 5)])
def test_context_is_taken_along_and_filled_with_the_mean(tmp_path: Path, window: tuple[int, ...]) -> None:
    net = Detector(
        net_file(tmp_path, SEEN), None, mean=MEAN, raw_scale=255, channel_swap=(2, 1, 0), context_pad=1
    )
    picture = np.random.default_rng(3).uniform(0, 1, (17, 19, 3)).astype(np.float32)
    crop = net.crop(picture, window)
    assert crop.shape == (5, 5, 3)
    expected = by_hand(picture, window, size=5, pad=1, fill=MEAN[::-1] / 255)
    np.testing.assert_allclose(crop, expected, atol=1e-6)
    assert math.isclose(net.crop_mean[0, 0, 0], 30 / 255, rel_tol=1e-6)


@pytest.mark.parametrize("context_pad", [None, 1])
def test_windows_outside_are_refused(tmp_path: Path, context_pad: int | None) -> None:
    net = Detector(net_file(tmp_path, SEEN), None, context_pad=context_pad)
    with pytest.raises(ValueError, match=r"window \(40, 40, 50, 50\).*17x19"):
        net.crop(np.zeros((17, 19, 3), np.float32), (40, 40, 50, 50))


def test_selective_search_is_refused_with_its_reason(tmp_path: Path) -> None:
    net = Detector(net_file(tmp_path, SEEN), None)
    with pytest.raises(UsageError, match=r"MATLAB.*detect_windows"):
        net.detect_selective_search(["a.png"])
