"""Images with boxes on their way to a record: colour, orientation and size are those of the annotation."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.data.convert import Converted, Converter, Packed, Picture, Rejected
from caffeflow.data.sample import NO_LABEL, File, Job
from caffeflow.data.settings import BuildSettings
from caffeflow.data.transforms import as_planes
from tests.support.boxed_images import annotation
from tests.support.mixed_images import file_bytes, picture
from tests.support.pictures import with_exif_orientation

BOX = (1, 2.0, 4.0, 13.0, 17.0, False)
IMAGE = picture(1, height=23, width=31)
JPEG = file_bytes(IMAGE, "jpg")
GRAY = file_bytes(IMAGE[:, :, 0], "jpg")
ALPHA = cv2.imencode(".png", np.dstack([IMAGE, IMAGE[:, :, :1]]))[1].tobytes()
TURNED = with_exif_orientation(JPEG, 6)  # stored 23x31, shown 31x23


def pack(index: int, job: Job, made: Picture) -> Packed:
    del index, job
    height, width = made.original
    return Packed(b"", made.file or b"raw", as_planes(made.image), lines=(f"{height}x{width}".encode(),))


def convert(
    tmp_path: Path, content: bytes, *, annotated: tuple[int, int] | None = None, encoding: str = "jpg",
    **settings: object,
) -> Converted | Rejected:  # fmt: skip
    (tmp_path / "file").write_bytes(content)
    job = Job(
        name=f"a.{'png' if content[1:4] == b'PNG' else 'jpg'}",
        label=NO_LABEL,
        location=File(tmp_path / "file"),
        annotation=annotation([BOX], annotated),
    )
    return Converter(BuildSettings(**settings), encoding, pack, with_planes=True)(0, job)


def made(outcome: Converted | Rejected) -> Converted:
    assert isinstance(outcome, Converted)
    return outcome


def test_a_colour_file_is_kept(tmp_path: Path) -> None:
    record = made(convert(tmp_path, JPEG))
    assert record.value == JPEG
    assert record.lines == (b"23x31",)
    assert record.boxes is not None
    assert record.boxes.corners.tolist() == [[np.float32(v) for v in (2 / 31, 4 / 23, 13 / 31, 17 / 23)]]


@pytest.mark.parametrize(("content", "encoding"), [(GRAY, "jpg"), (ALPHA, "png")])
def test_other_channels_become_colour(content: bytes, encoding: str, tmp_path: Path) -> None:
    record = made(convert(tmp_path, content, encoding=encoding))
    assert record.shape == (3, 23, 31)
    colour = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert record.value == file_bytes(colour, encoding)


def test_gray_keeps_gray_files_only(tmp_path: Path) -> None:
    assert made(convert(tmp_path, GRAY, gray=True)).value == GRAY
    record = made(convert(tmp_path, JPEG, gray=True))
    assert record.value == file_bytes(
        cv2.imdecode(np.frombuffer(JPEG, np.uint8), cv2.IMREAD_GRAYSCALE), "jpg"
    )
    assert record.shape == (1, 23, 31)


@pytest.mark.parametrize("annotated", [None, (23, 31), (46, 62)])
def test_a_turned_photo_stays_as_stored_unless_the_boxes_say_otherwise(
    annotated: tuple[int, int] | None, tmp_path: Path
) -> None:
    kept = made(convert(tmp_path, TURNED, annotated=annotated))
    assert kept.value == TURNED
    assert kept.planes is not None
    anew = made(convert(tmp_path, TURNED, annotated=annotated, encoding="raw"))
    assert anew.planes is not None
    assert np.array_equal(anew.planes, kept.planes)
    assert kept.shape == anew.shape == (3, 23, 31)
    assert kept.lines == (b"23x31",)
    assert kept.unusual == (("annotated at another size",) if annotated == (46, 62) else ())


def test_a_photo_that_was_annotated_upright_is_turned(tmp_path: Path) -> None:
    record = made(convert(tmp_path, TURNED, annotated=(31, 23)))
    assert record.shape == (3, 31, 23)
    assert record.lines == (b"31x23",)
    assert record.unusual == ("turned upright",)
    upright = cv2.imdecode(np.frombuffer(TURNED, np.uint8), cv2.IMREAD_COLOR)
    assert record.value == file_bytes(upright, "jpg")
    small = made(convert(tmp_path, TURNED, annotated=(31, 23), resize=(7, 5), encoding="raw"))
    assert small.planes is not None
    assert np.array_equal(small.planes, as_planes(cv2.resize(upright, (5, 7))))


def test_sides_that_the_annotation_confuses_turn_nothing(tmp_path: Path) -> None:
    record = made(convert(tmp_path, JPEG, annotated=(31, 23)))
    assert record.value == JPEG
    assert record.unusual == ("annotated at another size",)


def test_an_image_without_boxes_is_odd_but_taken(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(JPEG)
    job = Job(
        name="a.jpg", label=NO_LABEL, location=File(tmp_path / "file"), annotation=annotation([], (23, 31))
    )
    record = made(Converter(BuildSettings(), "jpg", pack, with_planes=False)(0, job))
    assert record.unusual == ("without boxes",)


def test_a_broken_or_missing_file_is_a_reject(tmp_path: Path) -> None:
    broken = convert(tmp_path, TURNED[:-9], annotated=(31, 23))
    assert isinstance(broken, Rejected)
    assert (broken.name, broken.reason) == ("a.jpg", "truncated")
