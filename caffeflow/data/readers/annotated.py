"""AnnotatedDatum, SSD's record: a Datum beside the boxes of its image.

The Datum comes first in every record that a C++ tool wrote, and it is nearly all of it. So it is cut out
and left to `DatumParser`, with the short ways that it knows, and protobuf sees only the boxes behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from caffeflow.data.readers.datum import Buffer, DatumParser, Record
from caffeflow.errors import DataError
from caffeflow.proto import caffe_pb2

Boxes: TypeAlias = NDArray[np.float32]

COLUMNS: Final = ("group_label", "instance_id", "xmin", "ymin", "xmax", "ymax", "difficult")

_DATUM_TAG: Final = 0x0A  # field 1, bytes of a known length


@dataclass(frozen=True, slots=True)
class AnnotatedRecord:
    """One record of a database of AnnotatedDatums.

    Attributes:
        datum: Label and pixels or image file.
        boxes: (B, 7), see `COLUMNS`; ordered by group, then as annotated.
        type: `AnnotatedDatum.BBOX` (0) for boxes; None for a record with a label only.
    """

    datum: Record
    boxes: Boxes
    type: int | None


class AnnotatedParser:
    """Parses the records of one database; may be called from several threads.

    Args:
        source: The database, for messages.
    """

    def __init__(self, source: object) -> None:
        self._source = source
        self._datums = DatumParser(source)

    def parse(self, key: Buffer, value: Buffer) -> AnnotatedRecord:
        """Returns the record.

        Raises:
            DataError: The value is no AnnotatedDatum, or its Datum is none.
        """
        try:
            datum, rest = _split(value)
        except DecodeError as error:
            raise DataError(
                f"{self._source}: {bytes(key).decode(errors='replace')}: is not an AnnotatedDatum "
                f"({len(value)} bytes do not parse as one); expected a database that prepare voc, coco or "
                "kitti, or SSD's convert_annoset, wrote; one of Datums is for layers of type Data"
            ) from error
        record = self._datums.parse(key, datum)
        return AnnotatedRecord(record, boxes_of(rest), rest.type if rest.HasField("type") else None)


def _split(value: Buffer) -> tuple[Buffer, caffe_pb2.AnnotatedDatum]:
    """Returns the Datum's bytes and the message of what is beside it."""
    place = find_datum(value)
    if place is not None:
        rest = caffe_pb2.AnnotatedDatum.FromString(bytes(value[place.stop :]))
        if not rest.HasField("datum"):
            return value[place], rest
    whole = caffe_pb2.AnnotatedDatum.FromString(bytes(value))  # in another order, or the Datum in two parts
    if not whole.HasField("datum"):
        raise DecodeError("there is no datum")
    return whole.datum.SerializeToString(), whole


def is_annotated(value: Buffer) -> bool:
    """Tells whether a record is an AnnotatedDatum, as all tools write one: a Datum begins otherwise."""
    return find_datum(value) is not None


def find_datum(value: Buffer) -> slice | None:
    """Returns where the Datum lies in an AnnotatedDatum, or None if the record does not begin with it."""
    if len(value) < 2 or value[0] != _DATUM_TAG:
        return None
    length = shift = 0
    for at in range(1, min(len(value), 6)):
        length |= (value[at] & 0x7F) << shift
        if value[at] < 0x80:
            end = at + 1 + length
            return slice(at + 1, end) if end <= len(value) else None
        shift += 7
    return None


def boxes_of(message: caffe_pb2.AnnotatedDatum) -> Boxes:
    """Returns the boxes of a record, (B, 7), see `COLUMNS`."""
    rows = []
    for group in message.annotation_group:
        label = group.group_label
        for annotation in group.annotation:
            box = annotation.bbox
            rows.append(
                (label, annotation.instance_id, box.xmin, box.ymin, box.xmax, box.ymax, box.difficult)
            )
    return np.array(rows, np.float32).reshape(-1, len(COLUMNS))
