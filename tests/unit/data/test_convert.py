"""One job's way to a record: what is odd is named, what may be kept is kept, the rest is encoded anew."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.data.convert import Converted, Converter, Packed, Picture, Rejected, find_unusual
from caffeflow.data.sample import File, Job, Pixels
from caffeflow.data.settings import BuildSettings
from caffeflow.data.transforms import as_planes
from tests.support.mixed_images import file_bytes, picture
from tests.support.pictures import cmyk_jpeg


def pack(index: int, job: Job, made: Picture) -> Packed:
    return Packed(b"%d" % index, made.file or made.image.tobytes(), as_planes(made.image))


def convert(
    tmp_path: Path, name: str, content: bytes, encoding: str, **settings: object
) -> Converted | Rejected:
    (tmp_path / "file").write_bytes(content)
    converter = Converter(BuildSettings(**settings), encoding, pack, with_planes=True)
    return converter(7, Job(name=name, label=3, location=File(tmp_path / "file")))


JPEG = file_bytes(picture(1, height=23, width=31), "jpg")
PNG = file_bytes(picture(1, height=23, width=31), "png")
GRAY = file_bytes(picture(1, height=23, width=31)[:, :, 0], "jpg")


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (JPEG, "a.jpg", None),
        (JPEG, "a.JPEG", None),
        (JPEG, "a", None),
        (JPEG, "a.png", "jpeg named .png"),
        (PNG, "n02105855_2933.JPEG", "png named .JPEG"),
        (PNG, "dir.jpg/a.png", None),
        (file_bytes(picture(1, height=3, width=5), "bmp"), "a.jpg", "bmp named .jpg"),
        (cmyk_jpeg(), "a.jpg", "cmyk jpeg"),
        (b"", "a.jpg", None),
    ],
)
def test_odd_files_are_named(content: bytes, name: str, expected: str | None) -> None:
    assert find_unusual(content, name) == (() if expected is None else (expected,))


@pytest.mark.parametrize(
    ("name", "content", "encoding", "is_kept"),
    [
        ("a.jpg", JPEG, "jpg", True),
        ("a.jpeg", JPEG, "jpg", True),
        ("a.JPG", PNG, "jpg", True),
        ("a.png", PNG, "png", True),
        ("a.png", JPEG, "jpg", False),
        ("a.bmp", JPEG, "jpg", False),
        ("a.jpg", JPEG, "png", False),
    ],
)
def test_files_are_kept_by_the_extension_of_their_name(
    tmp_path: Path, name: str, content: bytes, encoding: str, is_kept: bool
) -> None:
    made = convert(tmp_path, name, content, encoding)
    assert isinstance(made, Converted)
    assert (made.value == content) == is_kept
    if not is_kept:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert made.value == cv2.imencode(f".{encoding}", image)[1].tobytes()


def test_resized_files_are_never_kept_though_the_size_is_theirs(tmp_path: Path) -> None:
    made = convert(tmp_path, "a.jpg", JPEG, "jpg", resize=(23, 31))
    assert isinstance(made, Converted)
    assert made.value != JPEG


@pytest.mark.parametrize(("backend", "channels"), [("lmdb", 1), ("imagedata", 3)])
def test_a_kept_gray_file_has_the_channels_that_its_reader_sees(
    tmp_path: Path, backend: str, channels: int
) -> None:
    made = convert(tmp_path, "a.jpg", GRAY, "jpg", backend=backend)
    assert isinstance(made, Converted)
    assert made.value == GRAY
    assert made.shape == (channels, 23, 31)


def test_planes_are_those_after_the_loss_of_jpeg(tmp_path: Path) -> None:
    made = convert(tmp_path, "a.png", PNG, "jpg")
    assert isinstance(made, Converted)
    assert made.planes is not None
    seen = cv2.imdecode(np.frombuffer(made.value, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(made.planes, seen.transpose(2, 0, 1))
    assert not np.array_equal(made.planes, picture(1, height=23, width=31).transpose(2, 0, 1))


def test_the_digest_is_of_key_and_value(tmp_path: Path) -> None:
    made = convert(tmp_path, "a.jpg", JPEG, "jpg")
    assert isinstance(made, Converted)
    assert made.digest == sha256(b"7\0" + JPEG).digest()
    assert (made.label, made.key) == (3, b"7")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (JPEG[:-60], "truncated"),
        (b"hello", "unsupported"),
        (cv2.imencode(".png", np.zeros((3, 5, 3), np.uint16))[1].tobytes(), "16-bit"),
    ],
)
@pytest.mark.parametrize("name", ["a/b.png", "a/b.jpg"])
@pytest.mark.parametrize("encoding", ["raw", "jpg", "png"])
def test_unusable_files_are_rejected_with_a_word_and_a_sentence(
    tmp_path: Path, content: bytes, reason: str, name: str, encoding: str
) -> None:
    made = convert(tmp_path, name, content, encoding)
    assert isinstance(made, Rejected)
    assert (made.name, made.reason) == (name, reason)
    assert name in made.message


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("gray", [False, True])
def test_bare_pixels_turn_gray_where_asked(tmp_path: Path, channels: int, gray: bool) -> None:
    planes = np.random.default_rng(3).integers(0, 256, (channels, 5, 7), np.uint8)
    (tmp_path / "batch").write_bytes(planes.tobytes())
    converter = Converter(BuildSettings(gray=gray), "raw", pack, with_planes=True)
    made = converter(0, Job(name="0", label=0, location=Pixels(tmp_path / "batch", 0, channels, 5, 7)))
    assert isinstance(made, Converted)
    if channels == 1:
        expected = planes
    elif gray:
        weighted = 0.299 * planes[0] + 0.587 * planes[1] + 0.114 * planes[2]
        assert made.planes is not None
        assert np.abs(made.planes[0] - weighted).max() <= 0.51
        return
    else:
        expected = planes[::-1]
    assert np.array_equal(made.planes, expected)
