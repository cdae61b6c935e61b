"""The bytes of an AnnotatedDatum, exactly as SSD's convert_annoset writes them.

Groups stand in the order in which their labels first appear, and instances count within a group. Of a
box the four corners and `difficult` are set, `difficult: false` too, since Caffe sets it; the type is
always there, even beside no boxes.
"""

from __future__ import annotations

import struct
from typing import Final

from caffeflow.data.placed_boxes import PlacedBoxes
from caffeflow.data.varint import varint

_DATUM: Final = b"\x0a"
_TYPE_BBOX: Final = b"\x10\x00"
_GROUP: Final = b"\x1a"
_NUMBER: Final = b"\x08"  # group_label, and instance_id
_INNER: Final = b"\x12"  # the group's annotation, and the annotation's bbox
_BOX: Final = struct.Struct("<BfBfBfBfBB")


def annotated_datum(datum: bytes | bytearray, boxes: PlacedBoxes) -> bytes:
    """Returns the record of a Datum and the boxes of its image."""
    groups: dict[int, list[bytes]] = {}
    for label, corners, difficult in zip(boxes.labels, boxes.corners.tolist(), boxes.difficult, strict=True):
        group = groups.setdefault(label, [])
        group.append(_annotation(len(group), corners, difficult))
    parts = [_DATUM, varint(len(datum)), datum, _TYPE_BBOX]
    for label, group in groups.items():
        parts += _block(_GROUP, _NUMBER, varint(label), *group)
    return b"".join(parts)


def _annotation(instance: int, corners: list[float], difficult: bool) -> bytes:
    xmin, ymin, xmax, ymax = corners
    box = _BOX.pack(0x0D, xmin, 0x15, ymin, 0x1D, xmax, 0x25, ymax, 0x30, difficult)
    return b"".join(_block(_INNER, _NUMBER, varint(instance), *_block(_INNER, box)))


def _block(tag: bytes, *content: bytes) -> tuple[bytes, ...]:
    """Returns a field of bytes: its tag, the length of the content, and the content."""
    return tag, varint(sum(map(len, content))), *content
