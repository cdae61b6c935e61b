"""AnnotatedDatums: with boxes, without, of a label alone, in an order no C++ tool writes, and none at all."""

from __future__ import annotations

import numpy as np
import pytest

from caffeflow.data.readers.annotated import AnnotatedParser, find_datum
from caffeflow.errors import DataError
from caffeflow.proto import caffe_pb2
from tests.support.oracles.convert_annoset import Item, annotated_datum, block, datum, number
from tests.support.records import picture_bytes, random_planes, raw_datum

KEY = b"00000012_cat/1.jpg"
BOXES = [
    (5, 1.0, 2.0, 7.0, 11.0, False),
    (2, 0.0, 0.0, 13.0, 17.0, True),
    (5, -3.0, 5.0, 14.5, 19.0, True),
]
ROWS = [
    (5, 0, 1 / 13, 2 / 17, 7 / 13, 11 / 17, 0),
    (5, 1, -3 / 13, 5 / 17, 14.5 / 13, 19 / 17, 1),
    (2, 0, 0, 0, 1, 1, 1),
]


@pytest.fixture
def parser() -> AnnotatedParser:
    return AnnotatedParser("data/voc/train_lmdb")


def picture() -> np.ndarray:
    return random_planes(1, (3, 17, 13))[0].transpose(1, 2, 0)


def test_boxes_stand_in_order_of_their_groups(parser: AnnotatedParser) -> None:
    value = annotated_datum(datum(picture(), b"a file"), Item("1.jpg", b"", BOXES), 17, 13)
    record = parser.parse(KEY, memoryview(value))
    assert record.type == caffe_pb2.AnnotatedDatum.BBOX
    assert record.boxes.dtype == np.float32
    assert np.array_equal(record.boxes, np.array(ROWS, np.float32))
    assert (record.datum.encoded, record.datum.label) == (b"a file", -1)


def test_bare_pixels_are_views_of_each_record(parser: AnnotatedParser) -> None:
    planes = random_planes(3, (3, 7, 5))
    for number_of_boxes, one in enumerate(planes):
        item = Item("1.png", b"", BOXES[:number_of_boxes])
        value = annotated_datum(datum(one.transpose(1, 2, 0), None), item, 17, 13)
        record = parser.parse(KEY, memoryview(value))
        assert np.array_equal(record.datum.pixels("unchanged"), one)
        assert record.boxes.shape == (number_of_boxes, 7)


def test_a_label_alone_has_no_type(parser: AnnotatedParser) -> None:
    planes = random_planes(1, (3, 5, 7))[0]
    record = parser.parse(KEY, block(1, raw_datum(planes, 3)))
    assert record.type is None
    assert record.boxes.shape == (0, 7)
    assert record.datum.label == 3
    assert np.array_equal(record.datum.pixels("unchanged"), planes)


def test_fields_in_another_order_read_alike(parser: AnnotatedParser) -> None:
    datum_bytes = datum(picture(), picture_bytes(random_planes(1, (3, 17, 13))[0]))
    usual = annotated_datum(datum_bytes, Item("1.png", b"", BOXES), 17, 13)
    behind = usual[len(block(1, datum_bytes)) :]
    twice = block(1, b"") + behind + block(1, datum_bytes)  # protobuf joins the two
    for value in (behind + block(1, datum_bytes), twice):
        record = parser.parse(KEY, value)
        assert np.array_equal(record.boxes, np.array(ROWS, np.float32))
        assert record.datum.pixels("unchanged").shape == (3, 17, 13)


@pytest.mark.parametrize(
    "value", [b"", b"\x0a\x7fshort", b"\x0a\xff\xff\xff\xff\xff\xff", b"not a record at all"]
)
def test_what_is_no_record_is_refused_by_its_name(parser: AnnotatedParser, value: bytes) -> None:
    with pytest.raises(DataError, match=r"data/voc/train_lmdb: 00000012_cat/1\.jpg"):
        parser.parse(KEY, value)


def test_a_bare_datum_is_told_from_an_annotated_one(parser: AnnotatedParser) -> None:
    with pytest.raises(DataError, match=r"layers of type Data$"):
        parser.parse(KEY, raw_datum(random_planes(1, (3, 5, 7))[0], 3))


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16384, 2_097_152])
def test_the_datum_is_found_whatever_its_length(size: int) -> None:
    value = block(1, bytes(size)) + number(2, 0)
    place = find_datum(value)
    assert place is not None
    assert value[place] == bytes(size)
    assert value[place.stop :] == number(2, 0)
