"""Fetching one file over HTTP: goes on where it stopped, checks the md5, appears only when it is whole.

The unfinished file stands beside the target as `<name>.part`. What is in the way of many downloads is known:
a page that says "moved" or "log in", served with code 200 under the archive's name; it is recognised.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from caffeflow.data.archives import stand_in
from caffeflow.errors import DataError, StoppedError

_CHUNK: Final = 1 << 18
_SCHEMES: Final = ("https://", "http://")


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """What to fetch, and how to know that it is right."""

    url: str
    md5: str | None = None
    timeout_s: float = 30.0
    tries: int = 3
    pause_s: float = 1.0


def download(
    fetch: Fetch,
    target: Path,
    *,
    on_bytes: Callable[[int, int | None], None] = lambda _done, _total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Path:
    """Fetches a file to `target` and returns the path; a broken connection is taken up again.

    Args:
        fetch: The address and the checksum.
        target: Where it shall lie; its folder is made. An existing file is not fetched again.
        on_bytes: Gets bytes there and bytes in all (None if the server does not say).
        should_stop: Asked after each piece; True ends with what has come so far kept.

    Raises:
        DataError: No connection, not found, another checksum, a page in the archive's place, disk full.
        StoppedError: `should_stop` said so.
    """
    if not fetch.url.startswith(_SCHEMES):
        raise DataError(f"'{fetch.url}': expected an address that begins with https:// or http://")
    if target.exists():
        return target
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part) as file:
            _fetch_all(fetch, file, on_bytes=on_bytes, should_stop=should_stop)
            os.fsync(file.fileno())
            _check(fetch, part)
            part.replace(target)
    except OSError as error:
        raise DataError(f"{part}: cannot write: {error.strerror}") from error
    return target


def md5_of(path: Path, *, on_bytes: Callable[[int], None] = lambda _: None) -> str:
    """Returns the md5 of a file in hexadecimal, as the publishers of data sets print it."""
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with path.open("rb") as file:
            while piece := file.read(_CHUNK):
                digest.update(piece)
                on_bytes(len(piece))
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error
    return digest.hexdigest()


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """Opens the unfinished file at its end, for this process alone."""
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"{part}: another process is downloading this file; wait for it") from error
        if not part.exists():  # it was finished and renamed between our opening and our locking
            raise DataError(f"{part}: another process has just fetched this file; run the command again")
        try:
            yield file
        finally:
            if part.exists() and part.stat().st_size == 0:
                part.unlink()


def _fetch_all(
    fetch: Fetch,
    file: BinaryIO,
    *,
    on_bytes: Callable[[int, int | None], None],
    should_stop: Callable[[], bool],
) -> None:
    """Fetches until the server has no more, trying again as long as each try brings something."""
    tries = 0
    while True:
        before = file.tell()
        try:
            if _fetch_rest(fetch, file, on_bytes=on_bytes, should_stop=should_stop):
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            reason = f"the server answers {error.code} {error.reason}"
            if error.code < 500:
                raise DataError(f"{fetch.url}: {reason}; see whether the address has moved") from error
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        if file.tell() > before:
            tries = 0
            continue
        tries += 1
        if tries >= fetch.tries:
            raise DataError(
                f"{fetch.url}: cannot be fetched ({reason}); {file.tell():,} bytes are kept in {file.name}, "
                "the same command goes on from there"
            )
        time.sleep(fetch.pause_s)


def _fetch_rest(
    fetch: Fetch,
    file: BinaryIO,
    *,
    on_bytes: Callable[[int, int | None], None],
    should_stop: Callable[[], bool],
) -> bool:
    """Asks for what is missing and appends it; tells whether the file is now as long as the server says."""
    request = urllib.request.Request(fetch.url, headers={"User-Agent": "caffeflow"})  # noqa: S310 - scheme checked
    if file.tell():
        request.add_header("Range", f"bytes={file.tell()}-")
    try:
        response = urllib.request.urlopen(request, timeout=fetch.timeout_s)  # noqa: S310 - scheme checked
    except urllib.error.HTTPError as error:
        if error.code == 416 and file.tell():
            return _is_all(error.headers.get("Content-Range", ""), file)
        raise
    with response:
        if file.tell() and response.status != 206:  # the server cannot resume: from the beginning
            file.truncate(0)
            file.seek(0)
        total = _total(response.headers.get("Content-Length"), file.tell())
        while piece := response.read(_CHUNK):
            if file.tell() == 0:
                _refuse_page(fetch.url, piece)
            _append(file, piece)
            on_bytes(file.tell(), total)
            if should_stop():
                raise StoppedError(
                    f"stopped with {file.tell():,} bytes in {file.name}; the same command goes on from there"
                )
    return total is None or file.tell() >= total


def _append(file: BinaryIO, piece: bytes) -> None:
    try:
        file.write(piece)
        file.flush()  # what is counted is on the disk's side, whatever happens next
    except OSError as error:  # apart from the network's own errors, which are tried again
        raise DataError(f"{file.name}: cannot write: {error.strerror}") from error


def _is_all(content_range: str, file: BinaryIO) -> bool:
    """Tells, when the server has nothing behind our end, whether that is the file's end ("bytes */123")."""
    total = content_range.rpartition("/")[2]
    if total.isdigit() and int(total) != file.tell():
        file.truncate(0)
        file.seek(0)
        return False
    return True


def _total(length: str | None, begin: int) -> int | None:
    return begin + int(length) if length and length.isdigit() else None


def _refuse_page(url: str, first: bytes) -> None:
    truth = stand_in(first)
    if truth:
        raise DataError(
            f"{url}: the server sends {truth} in place of the file; open the address in a browser to see why"
        )


def _check(fetch: Fetch, part: Path) -> None:
    if fetch.md5 is None:
        return
    found = md5_of(part)
    if found != fetch.md5:
        part.unlink()
        raise DataError(
            f"{fetch.url}: what was fetched has md5 {found}, expected {fetch.md5}; it was removed, run the "
            "same command to fetch it afresh"
        )
