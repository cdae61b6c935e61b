"""Pictures: what is decoded, what is refused and by which word, EXIF, CMYK, resizing."""

from __future__ import annotations

import pickle
import struct
import zlib

import cv2
import numpy as np
import pytest

from caffeflow import images
from caffeflow.errors import DataError
from caffeflow.image_bytes import find_header, sniff
from caffeflow.images import ImageError
from tests.support.pictures import cmyk_jpeg, photo, with_exif_orientation, with_thumbnail


def png16() -> bytes:
    return cv2.imencode(".png", photo().astype(np.uint16) * 257)[1].tobytes()


def reason_of(data: bytes, mode: images.Mode = "color") -> str:
    with pytest.raises(ImageError) as caught:
        images.decode(data, mode, name="cat/1.jpg")
    assert "cat/1.jpg" in str(caught.value)
    assert caught.value.reason in str(caught.value)
    return caught.value.reason


def test_a_png_comes_back_as_it_was_in_every_mode() -> None:
    image = photo()
    data = images.encode(image, "png")
    assert np.array_equal(images.decode(data, "color"), image)
    assert np.array_equal(images.decode(data, "unchanged"), image)
    assert images.decode(data, "gray").shape == (47, 61)


def test_gray_pictures_have_two_axes_unless_colour_is_asked_for() -> None:
    gray = photo()[:, :, 0]
    data = images.encode(gray, "png")
    assert np.array_equal(images.decode(data, "unchanged"), gray)
    colour = images.decode(data, "color")
    assert colour.shape == (47, 61, 3)
    assert all(np.array_equal(colour[:, :, channel], gray) for channel in range(3))


def test_alpha_is_kept_only_unchanged() -> None:
    bgra = np.dstack([photo(), np.full((47, 61), 9, np.uint8)])
    data = images.encode(bgra, "png")
    assert np.array_equal(images.decode(data, "unchanged"), bgra)
    assert np.array_equal(images.decode(data, "color"), photo())


def test_jpeg_quality_is_95_as_opencvs_default() -> None:
    data = images.encode(photo(), "jpg")
    assert data == cv2.imencode(".jpg", photo())[1].tobytes()
    assert len(images.encode(photo(), "jpg", quality=50)) < len(data)


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(DataError, match="47x61x3 image as 'xyz'"):
        images.encode(photo(), "xyz")


def test_exif_orientation_counts_for_files_and_not_for_encoded_datums() -> None:
    data = with_exif_orientation(images.encode(photo(), "jpg"), 6)
    stored = images.decode(data, "unchanged")
    assert stored.shape == (47, 61, 3)
    upright = images.decode(data, "color")
    assert np.array_equal(upright, np.rot90(stored, k=-1))
    assert images.decode(data, "gray").shape == (61, 47)


def test_cmyk_jpeg_becomes_bgr_and_its_header_tells() -> None:
    data = cmyk_jpeg()
    header = find_header(data)
    assert header is not None
    assert (header.format, header.channels) == ("jpeg", 4)
    for mode in ("color", "unchanged"):
        image = images.decode(data, mode)
        assert image.shape == (8, 8, 3)
        assert np.all(image == image[0, 0, 0])  # equal ink everywhere: a gray
    assert images.decode(data, "gray").shape == (8, 8)


def test_a_png_in_jpegs_clothing_is_what_its_bytes_say() -> None:
    data = images.encode(photo(), "png")
    assert sniff(data) == "png"
    assert np.array_equal(images.decode(data, "color", name="n02105855_2933.JPEG"), photo())


@pytest.mark.parametrize("left_out", [1, 2, 40, 600])
@pytest.mark.parametrize("encoding", ["jpg", "png"])
def test_truncated(encoding: str, left_out: int) -> None:
    data = images.encode(photo(), encoding)
    assert reason_of(data[:-left_out]) == "truncated"


def test_truncated_in_spite_of_a_whole_thumbnail() -> None:
    data = with_thumbnail(images.encode(photo(), "jpg"), images.encode(photo(5, 7), "jpg"))
    assert images.decode(data, "color").shape == (47, 61, 3)
    assert reason_of(data[:-2]) == "truncated"


def test_bytes_behind_the_end_are_no_fault() -> None:
    jpeg = images.encode(photo(), "jpg")
    assert np.array_equal(images.decode(jpeg + bytes(5000), "color"), images.decode(jpeg, "color"))


def test_empty_corrupt_unsupported_and_16_bit_have_their_words() -> None:
    png = images.encode(photo(), "png")
    size_zero = bytearray(png)
    size_zero[16:24] = bytes(8)
    size_zero[29:33] = struct.pack(">I", zlib.crc32(bytes(size_zero[12:29])))
    assert reason_of(b"") == "empty"
    assert reason_of(bytes(size_zero)) == "corrupt"
    assert reason_of(b"<html>not found</html>") == "unsupported"
    for mode in ("color", "gray", "unchanged"):
        assert reason_of(png16(), mode) == "16-bit"


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ImageError("truncated", "a b.jpg")))
    assert (error.reason, error.name, error.exit_code) == ("truncated", "a b.jpg", 5)


def test_squash_is_bilinear_between_pixel_centres() -> None:
    # Loop oracle: source = (i + 0.5) * ratio - 0.5, clamped at the borders.
    image = photo(7, 11)
    height, width = 5, 13
    resized = images.resize_squash(image, height, width)
    assert resized.shape == (height, width, 3)
    for y in range(height):
        for x in range(width):
            sy = min(max((y + 0.5) * 7 / height - 0.5, 0.0), 6.0)
            sx = min(max((x + 0.5) * 11 / width - 0.5, 0.0), 10.0)
            y0, x0 = int(sy), int(sx)
            y1, x1 = min(y0 + 1, 6), min(x0 + 1, 10)
            fy, fx = sy - y0, sx - x0
            top = image[y0, x0] * (1 - fx) + image[y0, x1] * fx
            bottom = image[y1, x0] * (1 - fx) + image[y1, x1] * fx
            expected = top * (1 - fy) + bottom * fy
            assert np.abs(resized[y, x] - expected).max() <= 1.0


@pytest.mark.parametrize(
    ("size", "expected"), [((47, 61), (23, 30)), ((61, 47), (30, 23)), ((23, 23), (23, 23))]
)
def test_short_side_keeps_the_aspect(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert images.resize_short_side(photo(*size), 23).shape[:2] == expected


@pytest.mark.parametrize("interpolation", ["AREA", "LANCZOS4"])
@pytest.mark.parametrize("colour", [(0, 0, 0), (104, 117, 123), (128, 128, 128), (255, 200, 31)])
def test_leaving_out_what_is_even_does_not_change_a_resized_picture(
    interpolation: images.Interpolation, colour: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(6)
    for _ in range(40):
        height, width = rng.integers(40, 500, 2)
        rows, columns = int(rng.integers(0, height)), int(rng.integers(0, width))
        picture = np.empty((height, width, 3), np.uint8)
        picture[...] = colour
        picture[:rows, :columns] = rng.integers(0, 256, (rows, columns, 3), np.uint8)
        expected = images.resize(picture, 31, 37, interpolation)
        found = images.resize(picture, 31, 37, interpolation, even_from=(rows, columns))
        assert np.array_equal(found, expected)
        gray = np.ascontiguousarray(picture[..., 0])
        found = images.resize(gray, 31, 37, interpolation, even_from=(rows, columns))
        assert np.array_equal(found, images.resize(gray, 31, 37, interpolation))


def test_what_is_even_is_left_out_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    original = cv2.resize

    def resize(image: np.ndarray, *arguments: object, **settings: object) -> np.ndarray:
        sizes.append(image.size)
        return original(image, *arguments, **settings)

    monkeypatch.setattr(cv2, "resize", resize)
    picture = np.zeros((400, 400, 3), np.uint8)
    images.resize(picture, 30, 30, "AREA", even_from=(100, 100))
    images.resize(picture, 30, 30, "AREA", even_from=(390, 390))
    images.resize(picture, 30, 30, "LINEAR", even_from=(100, 100))
    images.resize(np.full_like(picture, 200), 30, 30, "LANCZOS4", even_from=(100, 100))
    assert sizes[0] < 0.12 * picture.size
    assert sizes[1:] == [picture.size] * 3
