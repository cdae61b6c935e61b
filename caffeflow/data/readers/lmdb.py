"""Reading an LMDB of records in key order, from any record on, around its end as often as wanted.

A record is looked up by its number in key order. LMDB keeps no such numbers, so a start in the middle
walks the keys, which leaves the values untouched. What `records` yields are views into the mapped file:
touching one after the reader is closed ends the process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import lmdb

from caffeflow.data.manifest import MANIFEST_NAME, UNFINISHED_NAME
from caffeflow.errors import DataError

# lmdb refuses to open a path twice in one process, yet a net may read one LMDB in both its phases.
_open_lock: Final = threading.Lock()
_open: Final[dict[Path, tuple[Any, int]]] = {}


class LmdbReader:
    """An LMDB opened for reading; `count` is its number of records.

    Args:
        path: The folder that holds `data.mdb`.
        allow_unfinished: Reads a dataset that caffeflow has not finished; otherwise it is refused.

    Raises:
        DataError: There is no whole, readable, non-empty LMDB of a finished dataset.
    """

    def __init__(self, path: Path, *, allow_unfinished: bool = False) -> None:
        self.path = path
        _check_place(path)
        if not allow_unfinished:
            refuse_unfinished(path)
        self._key = path.resolve()
        self._environment: Any = _acquire(self._key, path)
        try:
            self.count = _check_content(self._environment, path)
        except DataError:
            self.close()
            raise

    def records(self, start: int = 0, *, step: int = 1) -> Iterator[tuple[memoryview, memoryview]]:
        """Yields key and value of every `step`-th record without end, going round at the last one.

        Args:
            start: The record to begin with; numbers beyond the end count round.
            step: How far to go each time.
        """
        with self._environment.begin(buffers=True) as transaction:
            cursor = transaction.cursor()
            at = self._walk(cursor, None, start)
            while step == 1:
                yield from cursor.iternext()
                cursor.first()
            while True:
                yield cursor.item()
                at = self._walk(cursor, at, step)

    def once(self) -> Iterator[tuple[bytes, bytes]]:
        """Yields key and value of each record once, as copies."""
        with self._environment.begin() as transaction:
            yield from transaction.cursor()

    def close(self) -> None:
        """Lets the LMDB go; views of its values must not be used any more."""
        if self._environment is not None:
            self._environment = None
            _release(self._key)

    def __enter__(self) -> LmdbReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _walk(self, cursor: Any, at: int | None, distance: int) -> int:
        """Moves the cursor on, over the end if need be, and returns where it is then."""
        target = distance if at is None else at + distance
        if at is None or target >= self.count:
            target %= self.count
            cursor.first()
            at = 0
        for _ in range(target - at):
            cursor.next()
        return target


def refuse_unfinished(path: Path) -> None:
    """Raises DataError if `path` (an LMDB or a list) lies in a dataset that is not finished yet."""
    for folder in (path, path.parent):
        if (folder / UNFINISHED_NAME).exists() and not (folder / MANIFEST_NAME).exists():
            raise DataError(
                f"{path}: its dataset is unfinished; run its caffeflow prepare again with --resume"
            )


def _check_place(path: Path) -> None:
    if not path.exists():
        raise DataError(f"{path}: no such LMDB; make one with caffeflow prepare, or correct the source")
    if not path.is_dir():
        raise DataError(f"{path}: is a file; expected the folder of an LMDB, with data.mdb in it")
    if (path / "data.mdb").exists():
        return
    if (path / "CURRENT").exists():
        raise DataError(f"{path}: is a LevelDB; only LMDB is read, write it again with caffeflow prepare")
    raise DataError(f"{path}: has no data.mdb; expected the folder of an LMDB")


def _check_content(environment: Any, path: Path) -> int:
    """Returns the number of records of an LMDB that is whole and has some."""
    stat = environment.stat()
    expected = (environment.info()["last_pgno"] + 1) * stat["psize"]
    found = (path / "data.mdb").stat().st_size
    if found < expected:  # reading on would end the process with a bus error
        raise DataError(
            f"{path}: data.mdb has {found} bytes, expected {expected}: it is truncated; copy or make it again"
        )
    if stat["entries"] == 0:
        raise DataError(f"{path}: holds no record; expected at least one")
    return int(stat["entries"])


def _acquire(key: Path, path: Path) -> Any:
    with _open_lock:
        environment, users = _open.get(key, (None, 0))
        if environment is None:
            try:
                environment = lmdb.open(str(key), readonly=True, lock=False, create=False)
            except lmdb.Error as error:
                raise DataError(f"{path}: is not an LMDB that can be read: {error}") from error
        _open[key] = (environment, users + 1)
        return environment


def _release(key: Path) -> None:
    with _open_lock:
        environment, users = _open.pop(key)
        if users > 1:
            _open[key] = (environment, users - 1)
        else:
            environment.close()
