"""Pictures as pycaffe has them: reading, resizing, ten crops."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.errors import DataError
from caffeflow.pycaffe.io import load_image, oversample, resize_image
from tests.support.oracles import resampling as oracle


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_colour_is_rgb_between_0_and_1(tmp_path: Path, pixels: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    image = load_image(tmp_path / "a.png")
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, (pixels[:, :, ::-1] / 255).astype(np.float32))


def test_colour_as_intensity_has_the_weights_of_scikit_image(tmp_path: Path, pixels: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    image = load_image(str(tmp_path / "a.png"), color=False)
    blue, green, red = (pixels[:, :, channel] / 255 for channel in range(3))
    assert image.shape == (5, 7, 1)
    np.testing.assert_allclose(image[:, :, 0], 0.2125 * red + 0.7154 * green + 0.0721 * blue, rtol=1e-6)


def test_gray_file_has_one_channel_or_three_equal_ones(tmp_path: Path, pixels: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), pixels[:, :, 0])
    assert load_image(tmp_path / "a.png", color=False).shape == (5, 7, 1)
    colour = load_image(tmp_path / "a.png")
    for channel in range(3):
        np.testing.assert_array_equal(colour[:, :, channel], (pixels[:, :, 0] / 255).astype(np.float32))


def test_alpha_is_dropped(tmp_path: Path, pixels: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([pixels, pixels[:, :, 0]]))
    np.testing.assert_array_equal(
        load_image(tmp_path / "a.png"), (pixels[:, :, ::-1] / 255).astype(np.float32)
    )


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jpg.*No such file"):
        load_image(tmp_path / "none.jpg")
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(DataError, match=r"text\.jpg"):
        load_image(tmp_path / "text.jpg")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("size", [(5, 7), (11, 13), (3, 2), (2, 17)])
def test_resizing_maps_middles_and_fades_to_the_least_value(
    channels: int, order: int, size: tuple[int, int]
) -> None:
    image = np.random.default_rng(2).uniform(-1, 2, (5, 7, channels))
    expected = oracle.resize_centred(image, *size, order=order, outside=image.min())
    np.testing.assert_allclose(resize_image(image, size, order), expected, atol=1e-6)


@pytest.mark.parametrize("size", [(5, 7), (11, 13), (3, 2)])
def test_resizing_other_channel_counts_keeps_corners_in_place(size: tuple[int, int]) -> None:
    image = np.random.default_rng(3).uniform(-1, 2, (5, 7, 2))
    np.testing.assert_allclose(resize_image(image, size), oracle.resize_cornered(image, *size), atol=1e-6)


def test_bytes_are_resized_as_numbers(pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(resize_image(pixels, (3, 3)), resize_image(pixels.astype(float), (3, 3)))
    assert resize_image(np.full((2, 3, 3), 9), (5, 5)).tolist() == np.full((5, 5, 3), 9).tolist()


@pytest.mark.parametrize(("channels", "order"), [(3, 2), (1, 5), (2, 3)])
def test_orders_that_are_not_there_are_refused(channels: int, order: int) -> None:
    with pytest.raises(ValueError, match=f"interp_order is {order}.*{channels} channels"):
        resize_image(np.zeros((3, 5, channels)), (2, 2), order)


def test_ten_crops_in_their_order() -> None:
    images = np.arange(2 * 7 * 8 * 2, dtype=np.float32).reshape(2, 7, 8, 2)
    crops = oversample(images, (3, 5))
    assert crops.shape == (20, 3, 5, 2)
    corners = [(0, 0), (0, 3), (4, 0), (4, 3), (2, 1)]
    for number, image in enumerate(images):
        for place, (top, left) in enumerate(corners):
            crop = image[top : top + 3, left : left + 5]
            np.testing.assert_array_equal(crops[10 * number + place], crop)
            np.testing.assert_array_equal(crops[10 * number + 5 + place], crop[:, ::-1])


def test_crops_larger_than_the_picture_are_refused() -> None:
    with pytest.raises(ValueError, match=r"8x5 do not fit.*7x8"):
        oversample([np.zeros((7, 8, 3))], (8, 5))
