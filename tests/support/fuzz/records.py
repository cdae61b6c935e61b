"""Records of databases: Datums and AnnotatedDatums, several by one parser, which learns from the first."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from hypothesis import strategies as st

from caffeflow import images
from caffeflow.data.readers.annotated import AnnotatedParser
from caffeflow.data.readers.datum import DatumParser
from caffeflow.proto.caffe_pb2 import AnnotatedDatum, Datum
from tests.support.fuzz.mutations import NUMBERS, bytes_near
from tests.support.fuzz.target import Target

_PNG: Final = images.encode(np.full((5, 7, 3), 9, np.uint8), "png")
_JPEG: Final = images.encode(np.full((5, 7, 3), 9, np.uint8), "jpg")
_DATUMS: Final = (
    Datum(channels=3, height=2, width=5, data=bytes(30), label=4, encoded=False),
    Datum(channels=1, height=2, width=2, float_data=[1, 2, 3, 4], label=-1),
    Datum(data=_PNG, label=2, encoded=True),
    Datum(data=_JPEG, label=2, encoded=True, channels=3, height=2**31 - 1, width=2**31 - 1),
)


def _annotated(datum: Datum) -> bytes:
    record = AnnotatedDatum(datum=datum, type=AnnotatedDatum.BBOX)
    annotation = record.annotation_group.add(group_label=1).annotation.add(instance_id=2)
    annotation.bbox.xmin, annotation.bbox.xmax = 0.25, float("nan")
    return record.SerializeToString()


_PIECES: Final = (
    *NUMBERS,
    b"\x22\xff\xff\xff\xff\x07",
    b"\x08\xff\xff\xff\xff\x07",
    b"\x38\x01",
    b"\x0a\x80",
)
_PLAIN: Final = [datum.SerializeToString() for datum in _DATUMS]


def _check_datums(values: list[bytes]) -> None:
    parser = DatumParser("db")
    for value in values:
        parser.parse(b"key\xff", value).pixels("color")
    parser.find_block(values)


def _check_annotated(values: list[bytes]) -> None:
    parser = AnnotatedParser("db")
    for value in values:
        parser.parse(b"key", value).datum.pixels("gray")


def _shown(values: list[Any]) -> bytes:
    return repr(values).encode()


TARGETS: Final = (
    Target(
        name="datum",
        inputs=st.lists(bytes_near(_PLAIN, _PIECES), min_size=1, max_size=3),
        check=_check_datums,
        shown=_shown,
    ),
    Target(
        name="annotated datum",
        inputs=st.lists(bytes_near([_annotated(each) for each in _DATUMS], _PIECES), min_size=1, max_size=3),
        check=_check_annotated,
        shown=_shown,
    ),
)
