"""Stored records, whichever way they are stored: what `verify`, `show` and contact sheets go through.

Handing a record out is cheap and in order; `read` does the work, and may be called by many threads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from caffeflow import images
from caffeflow.data.digest import record_digest
from caffeflow.data.readers.annotated import AnnotatedParser, Boxes, is_annotated
from caffeflow.data.readers.datum import DatumParser, Planes, Record, as_planes
from caffeflow.data.readers.image_list import read_image_list
from caffeflow.data.readers.lmdb import LmdbReader
from caffeflow.errors import DataError
from caffeflow.image_bytes import sniff
from caffeflow.images import Mode


@dataclass(frozen=True, slots=True)
class Stored:
    """A record that was not looked into yet; for a list, the key is its line and there is no value."""

    key: bytes
    value: memoryview | None


@dataclass(frozen=True, slots=True)
class Seen:
    """A record as a reader sees it.

    Attributes:
        label: Of the Datum.
        planes: (C, H, W).
        form: `raw`, or the kind of file.
        digest: See `digest.py`.
        boxes: (B, 7), see `readers.annotated.COLUMNS`; None for a record with a label only.
    """

    label: int
    planes: Planes
    form: str
    digest: bytes
    boxes: Boxes | None = None


class Records(Protocol):
    """The records of an LMDB or a list."""

    count: int

    def once(self, *, step: int = 1) -> Iterator[Stored]:
        """Yields every `step`-th record, in order."""

    def read(self, stored: Stored) -> Seen:
        """Returns a record decoded.

        Raises:
            DataError: It cannot be decoded.
        """

    def close(self) -> None:
        """Lets go of the files."""


class LmdbRecords:
    """The records of an LMDB, decoded as Caffe's layers Data and AnnotatedData do.

    Whether they are Datums or AnnotatedDatums, the first one tells.
    """

    def __init__(self, path: Path) -> None:
        self._reader = LmdbReader(path)
        self.count = self._reader.count
        _, first = next(self._reader.records())
        self._parser = (AnnotatedParser if is_annotated(first) else DatumParser)(path)

    def once(self, *, step: int = 1) -> Iterator[Stored]:
        """Yields every `step`-th record, in order."""
        views = islice(self._reader.records(step=step), -(-self.count // step))
        return (Stored(bytes(key), value) for key, value in views)

    def read(self, stored: Stored) -> Seen:
        """Returns a record decoded."""
        assert stored.value is not None, "a record of a list was given to an LMDB"  # noqa: S101 - our own mix-up
        parsed = self._parser.parse(stored.key, stored.value)
        if isinstance(parsed, Record):
            record, boxes = parsed, None
        else:
            record, boxes = parsed.datum, parsed.boxes if parsed.type is not None else None
        form = "raw" if record.encoded is None else sniff(record.encoded) or "unknown"
        digest = record_digest(stored.key, stored.value)
        return Seen(record.label, record.pixels("unchanged"), form, digest, boxes)

    def close(self) -> None:
        """Closes the database."""
        self._reader.close()


class ListRecords:
    """The images of a list, decoded as Caffe's ImageData layer does.

    Args:
        path: The list.
        root: Where its paths start.
        mode: In colour, or gray.
    """

    def __init__(self, path: Path, *, root: Path, mode: Mode) -> None:
        self._list = read_image_list(path)
        self._root = root
        self._mode = mode
        self.count = len(self._list)

    def once(self, *, step: int = 1) -> Iterator[Stored]:
        """Yields every `step`-th line."""
        for index in range(0, self.count, step):
            line = f"{self._list.name(index)} {self._list.labels[index]}"
            yield Stored(os.fsencode(line), None)

    def read(self, stored: Stored) -> Seen:
        """Returns an image decoded."""
        name, _, label = os.fsdecode(stored.key).rpartition(" ")
        path = self._root / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        image = images.decode(content, self._mode, name=str(path))
        form = sniff(content) or "unknown"
        return Seen(int(label), as_planes(image), form, record_digest(stored.key, content))

    def close(self) -> None:
        """Does nothing: files are closed as they are read."""


def open_records(path: Path, *, root: Path | None = None, mode: Mode = "color") -> Records:
    """Opens an LMDB folder, or a list with the folder its paths start from (its own by default).

    Raises:
        DataError: It is neither.
    """
    if path.is_file():
        return ListRecords(path, root=path.parent if root is None else root, mode=mode)
    return LmdbRecords(path)
