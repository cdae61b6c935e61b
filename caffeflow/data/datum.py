"""The bytes of a Datum, exactly as Caffe's convert_imageset writes them.

Written by hand, because protobuf would copy the pixels three times. Fields stand in the order of their
numbers, as C++ serializes them. A raw Datum has all of channels, height, width, data, label, encoded;
an encoded one only data, label, encoded; SSD's tools write channels, height and width there too.
`encoded: false` is written out, since Caffe sets it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from caffeflow import images
from caffeflow.data.transforms import as_planes
from caffeflow.data.varint import varint
from caffeflow.images import Image

_CHANNELS: Final = b"\x08"
_HEIGHT: Final = b"\x10"
_WIDTH: Final = b"\x18"
_DATA: Final = b"\x22"
_LABEL: Final = b"\x28"
_RAW: Final = b"\x38\x00"
_ENCODED: Final = b"\x38\x01"


def raw_datum(image: Image, label: int) -> tuple[bytearray, Image]:
    """Returns a raw Datum, and the planes (C, H, W) inside it, as a view."""
    channels, height, width = as_planes(image).shape
    head = _sizes(image) + _DATA + varint(image.size)
    tail = _LABEL + varint(label) + _RAW
    record = bytearray(len(head) + image.size + len(tail))
    record[: len(head)] = head
    record[len(record) - len(tail) :] = tail
    planes: Image = np.frombuffer(record, np.uint8, image.size, len(head)).reshape(channels, height, width)
    images.write_planes(image, planes)
    return record, planes


def encoded_datum(file: bytes, label: int, *, sized_as: Image | None = None) -> bytes:
    """Returns a Datum that holds an image file, and the sizes of a picture if one is given."""
    head = b"" if sized_as is None else _sizes(sized_as)
    return b"".join((head, _DATA, varint(len(file)), file, _LABEL, varint(label), _ENCODED))


def _sizes(image: Image) -> bytes:
    channels, height, width = as_planes(image).shape
    return _CHANNELS + varint(channels) + _HEIGHT + varint(height) + _WIDTH + varint(width)
