"""Datum, Caffe's record: a label beside bare pixels or the bytes of an image file.

Databases of bare pixels hold records that differ only in pixels and label. So a parser learns how the
first one begins, and takes the pixels of the others from their place: small records many at a time,
large ones without copying them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from caffeflow import images
from caffeflow.errors import DataError
from caffeflow.image_bytes import sniff
from caffeflow.proto import caffe_pb2

_LARGEST_IN_BLOCK: Final = 1 << 14  # bytes a record; copying larger ones takes longer than handling each

Planes = NDArray[np.uint8] | NDArray[np.float32]
Buffer: TypeAlias = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a database: either its planes or the bytes of an image file.

    Attributes:
        label: 0 if the record has none, as Caffe takes it.
        planes: (C, H, W), uint8 or float32, BGR; None for an encoded image. A view of the database.
        encoded: The image file, or None.
        name: For messages.
    """

    label: int
    planes: Planes | None
    encoded: bytes | None
    name: str

    def pixels(self, mode: images.Mode) -> Planes:
        """Returns the planes (C, H, W), decoding if need be; the mode is for encoded images alone."""
        if self.planes is not None:
            return self.planes
        return as_planes(images.decode(self.encoded or b"", mode, name=self.name))


def as_planes(image: images.Image) -> Planes:
    """Returns a view (C, H, W) of a decoded picture (H, W, C) or (H, W)."""
    return image[None] if image.ndim == 2 else image.transpose(2, 0, 1)


class DatumParser:
    """Parses the records of one database; may be called from several threads.

    Args:
        source: The database, for messages.
    """

    def __init__(self, source: object) -> None:
        self._source = source
        self._layout: _RawLayout | None = None

    def find_block(self, values: Sequence[Buffer]) -> tuple[NDArray[np.uint8], list[int]] | None:
        """Returns planes (N, C, H, W) and labels of small records of bare pixels that are all alike.

        None if they are not so; then they must be parsed one by one.
        """
        layout = self._layout
        return layout.find_block(values) if layout is not None else None

    def parse(self, key: Buffer, value: Buffer) -> Record:
        """Returns the record.

        Raises:
            DataError: The value is no Datum, or its pixels do not fill its size.
        """
        layout = self._layout
        if layout is not None:
            label = layout.find_label(value)
            if label is not None:
                return Record(label, layout.planes(value), None, self._name(key))
        datum = self._datum(key, value)
        if datum.encoded:
            return Record(datum.label, None, datum.data, self._name(key))
        planes = self._planes(key, datum)
        if datum.data:
            self._layout = _RawLayout(datum)
        return Record(datum.label, planes, None, self._name(key))

    def _name(self, key: Buffer) -> str:
        return f"{self._source}: {bytes(key).decode(errors='replace')}"

    def _datum(self, key: Buffer, value: Buffer) -> caffe_pb2.Datum:
        try:
            datum = caffe_pb2.Datum.FromString(bytes(value))
        except DecodeError as error:
            raise DataError(f"{self._name(key)}: is not a Datum ({len(value)} bytes do not parse)") from error
        if not datum.data and not datum.float_data:
            raise DataError(f"{self._name(key)}: holds no pixels; expected a Datum with data or float_data")
        return datum

    def _planes(self, key: Buffer, datum: caffe_pb2.Datum) -> Planes:
        shape = (datum.channels, datum.height, datum.width)
        expected = datum.channels * datum.height * datum.width
        found = len(datum.data) or len(datum.float_data)
        if min(shape) < 1 or found != expected:
            kind = sniff(datum.data)
            hint = f"; the data is a {kind} file, but the record is not marked encoded" if kind else ""
            raise DataError(
                f"{self._name(key)}: {found} values do not fill {shape[0]}x{shape[1]}x{shape[2]} pixels{hint}"
            )
        if datum.data:
            return np.frombuffer(datum.data, np.uint8).reshape(shape)
        return np.array(datum.float_data, np.float32).reshape(shape)


class _RawLayout:
    """Where the pixels are in records that begin as this one does.

    What stands behind the pixels, the label mostly, is looked up whole: it takes few values.
    """

    def __init__(self, datum: caffe_pb2.Datum) -> None:
        self._shape = (datum.channels, datum.height, datum.width)
        self._size = len(datum.data)
        channels, height, width = self._shape
        like = caffe_pb2.Datum(channels=channels, height=height, width=width, data=datum.data)
        self._head = like.SerializeToString()[: -self._size]
        self._end = len(self._head) + self._size
        self._labels: dict[bytes, int | None] = {}

    def find_label(self, value: Buffer) -> int | None:
        """Returns the record's label, or None if its layout is another one."""
        if value[: len(self._head)] != self._head or len(value) < self._end:
            return None
        return self._label(bytes(value[self._end :]))

    def planes(self, value: Buffer) -> Planes:
        """Returns a view of the record's pixels."""
        return np.frombuffer(value, np.uint8, self._size, len(self._head)).reshape(self._shape)

    def find_block(self, values: Sequence[Buffer]) -> tuple[NDArray[np.uint8], list[int]] | None:
        """Returns planes and labels of many records, or None if they are large or not all alike."""
        length = len(values[0])
        if self._size > _LARGEST_IN_BLOCK or length < self._end or any(len(one) != length for one in values):
            return None
        rows = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), length)
        if (rows[:, : len(self._head)] != np.frombuffer(self._head, np.uint8)).any():
            return None
        labels = [self._label(tail.tobytes()) for tail in rows[:, self._end :]]
        if None in labels:
            return None
        planes = rows[:, len(self._head) : self._end].reshape(len(values), *self._shape)
        return planes, [label for label in labels if label is not None]

    def _label(self, tail: bytes) -> int | None:
        try:
            return self._labels[tail]
        except KeyError:
            label = self._labels[tail] = _label_of(tail)
            return label


def _label_of(tail: bytes) -> int | None:
    """Returns the label that the rest of a record gives, or None if it says more than that."""
    try:
        rest = caffe_pb2.Datum.FromString(tail)
    except DecodeError:
        return None
    says_more = rest.encoded or rest.data or rest.float_data or rest.channels or rest.height or rest.width
    return None if says_more else rest.label
