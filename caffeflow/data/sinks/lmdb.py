"""An LMDB of Datums, as convert_imageset writes it: one unnamed database, keys `00000012_cat/1.jpg`.

The number in a key is the place in the list, and images that cannot be read use theirs up. No record
of our own goes in: Caffe would read it as an image.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import lmdb

from caffeflow.data.convert import Converted, Packed, Picture
from caffeflow.data.datum import encoded_datum, raw_datum
from caffeflow.data.sample import Job
from caffeflow.data.sink import SinkStart
from caffeflow.data.transforms import as_planes

MIN_MAP_BYTES: Final = 1 << 24

_SPARE_PAGES: Final = 256  # for the tree above the records, which grows by far fewer in one transaction


class LmdbSink:
    """Writes `train_lmdb/` or `val_lmdb/`."""

    def __init__(self, start: SinkStart) -> None:
        self._folder = start.out_dir / f"{start.split}_lmdb"
        self._transaction: Any = None
        with self._as_os_error():
            self._folder.mkdir(exist_ok=True)
            self._environment = lmdb.open(
                str(self._folder), map_size=_first_map_bytes(self._folder, start), mode=0o664
            )
        self._page_bytes: int = self._environment.stat()["psize"]
        with self._as_os_error():
            self._drop_from(start.done)
        self._begin()

    @property
    def path(self) -> str:
        """Name of the LMDB folder."""
        return self._folder.name

    @property
    def root(self) -> None:
        """None: there is no list."""
        return

    @property
    def name_size(self) -> str | None:
        """None: names and sizes are wanted beside boxes only."""
        return None

    def pack(self, index: int, job: Job, picture: Picture) -> Packed:
        """Returns key and Datum of a picture."""
        key = record_key(index, job)
        if picture.file is None:
            value, planes = raw_datum(picture.image, job.label)
            return Packed(key, value, planes)
        return Packed(key, encoded_datum(picture.file, job.label), as_planes(picture.image))

    def add(self, record: Converted) -> None:
        """Puts the next record into the transaction; makes room in the map first where it is needed."""
        needed = len(record.value) // self._page_bytes + 2
        if self._pages + needed > self._map_pages:
            self._grow(needed)
        with self._as_os_error():
            self._transaction.put(record.key, record.value, append=True)
        self._pages += needed

    def commit(self) -> dict[str, int]:
        """Commits the transaction to the disk, and begins the next."""
        with self._as_os_error():
            self._transaction.commit()
        self._begin()
        return {}

    def close(self) -> None:
        """Gives up the open transaction, and closes the database."""
        self._transaction.abort()
        self._environment.close()

    def _begin(self) -> None:
        """Opens a transaction and counts how many pages it may use at most."""
        self._transaction = self._environment.begin(write=True)
        facts = self._environment.info()
        self._pages: int = facts["last_pgno"] + 1 + _SPARE_PAGES
        self._map_pages: int = facts["map_size"] // self._page_bytes

    def _grow(self, needed: int) -> None:
        """Doubles the map. LMDB allows that between transactions only, hence the commit before it.

        The journal does not hear of that commit: a build that resumes drops what it stored.
        """
        with self._as_os_error():
            self._transaction.commit()
            pages = self._environment.info()["last_pgno"] + 1 + _SPARE_PAGES + needed
            size = self._environment.info()["map_size"]
            while size < 2 * pages * self._page_bytes:
                size *= 2
            self._environment.set_mapsize(size)
        self._begin()

    def _drop_from(self, done: int) -> None:
        """Deletes the records from this place of the list on."""
        with self._environment.begin(write=True) as transaction, transaction.cursor() as cursor:
            while cursor.set_range(f"{done:08d}".encode()):
                cursor.delete()

    @contextmanager
    def _as_os_error(self) -> Iterator[None]:
        try:
            yield
        except lmdb.Error as error:
            # LMDB calls a short write, as a full disk gives, an input/output error
            code = errno.ENOSPC if "No space" in str(error) else errno.EIO
            raise OSError(code, str(error), str(self._folder)) from error


def record_key(index: int, job: Job) -> bytes:
    """Returns the key of the job at this place of the list."""
    return f"{index:08d}_".encode() + os.fsencode(job.name)


def _first_map_bytes(folder: Path, start: SinkStart) -> int:
    """Returns a map that holds the forecast and what is there, and a bit of either."""
    data = folder / "data.mdb"
    stored = data.stat().st_size if data.exists() else 0
    return max(MIN_MAP_BYTES, start.expected_bytes * 5 // 4, stored * 2) // 4096 * 4096
