"""Datums: bare pixels, floats, encoded images, and values that are none."""

from __future__ import annotations

import numpy as np
import pytest

from caffeflow.data.readers.datum import DatumParser, Record
from caffeflow.errors import DataError
from caffeflow.images import ImageError
from caffeflow.proto import caffe_pb2
from tests.support.records import encoded_datum, picture_bytes, random_planes, raw_datum

KEY = b"00000012_cat/1.jpg"
PLANES = random_planes(5, (3, 5, 7))


@pytest.fixture
def parser() -> DatumParser:
    return DatumParser("data/digits/train_lmdb")


def parse(parser: DatumParser, value: bytes) -> Record:
    return parser.parse(KEY, memoryview(value))


@pytest.mark.parametrize("labels", [[0, 1, 2, 3, 4], [999, 5, 128, 127, -1], [7, 7, 2**31 - 1, 7, 7]])
def test_bare_pixels_one_after_the_other(parser: DatumParser, labels: list[int]) -> None:
    for planes, label in zip(PLANES, labels, strict=True):
        record = parse(parser, raw_datum(planes, label))
        assert record.label == label
        assert record.encoded is None
        assert np.array_equal(record.pixels("unchanged"), planes)
        assert record.name == "data/digits/train_lmdb: 00000012_cat/1.jpg"


def test_records_of_other_sizes_and_kinds_may_follow(parser: DatumParser) -> None:
    gray = random_planes(1, (1, 7, 15))[0]  # as many values as the others
    floats = np.linspace(-1, 1, 105, dtype=np.float32).reshape(3, 5, 7)
    float_datum = caffe_pb2.Datum(channels=3, height=5, width=7, label=9, float_data=floats.ravel().tolist())
    encoded = encoded_datum(picture_bytes(PLANES[1]), 8)
    for value, label, expected in (
        (raw_datum(PLANES[0], 3), 3, PLANES[0]),
        (raw_datum(gray, 4), 4, gray),
        (float_datum.SerializeToString(), 9, floats),
        (encoded, 8, PLANES[1]),
        (raw_datum(PLANES[2], 5), 5, PLANES[2]),
    ):
        record = parse(parser, value)
        assert record.label == label
        assert np.array_equal(record.pixels("color"), expected)
        assert record.pixels("color").dtype == expected.dtype


def test_a_raw_record_like_the_first_but_marked_encoded_is_decoded(parser: DatumParser) -> None:
    png = picture_bytes(PLANES[0])
    pretender = np.frombuffer(png, np.uint8).reshape(1, 1, len(png))
    assert parse(parser, raw_datum(pretender, 1)).encoded is None
    same_size = caffe_pb2.Datum(channels=1, height=1, width=len(png), data=png, label=2, encoded=True)
    record = parse(parser, same_size.SerializeToString())
    assert record.label == 2
    assert np.array_equal(record.pixels("unchanged"), PLANES[0])


def test_an_unset_label_is_zero(parser: DatumParser) -> None:
    datum = caffe_pb2.Datum(channels=3, height=5, width=7, data=PLANES[0].tobytes())
    for _ in range(2):
        assert parse(parser, datum.SerializeToString()).label == 0


def test_gray_and_colour_are_asked_of_encoded_records_alone(parser: DatumParser) -> None:
    encoded = parse(parser, encoded_datum(picture_bytes(PLANES[0][:1]), 0))
    assert encoded.pixels("unchanged").shape == (1, 5, 7)
    assert encoded.pixels("color").shape == (3, 5, 7)
    assert parse(parser, raw_datum(PLANES[0], 0)).pixels("gray").shape == (3, 5, 7)


def test_values_that_are_no_datum(parser: DatumParser) -> None:
    short = caffe_pb2.Datum(channels=3, height=5, width=7, data=bytes(104))
    unmarked = caffe_pb2.Datum(channels=3, height=5, width=7, data=picture_bytes(PLANES[0]))
    for value, words in (
        (b"\xff" * 9, "is not a Datum"),
        (b"", "holds no pixels"),
        (caffe_pb2.Datum(label=3).SerializeToString(), "holds no pixels"),
        (short.SerializeToString(), "104 values do not fill 3x5x7"),
        (unmarked.SerializeToString(), "is a png file, but the record is not marked encoded"),
    ):
        with pytest.raises(DataError, match=words) as caught:
            parse(parser, value)
        assert "00000012_cat/1.jpg" in str(caught.value)


def test_a_broken_picture_names_its_record(parser: DatumParser) -> None:
    record = parse(parser, encoded_datum(picture_bytes(PLANES[0])[:-20], 0))
    with pytest.raises(ImageError, match=r"train_lmdb: 00000012_cat/1.jpg' is truncated"):
        record.pixels("unchanged")
