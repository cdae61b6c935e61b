"""Fetching one file over HTTP: goes on where it stopped, checks the checksum, appears only when it is whole.

The unfinished file stands beside the target as `<name>.part`; one that is whole and has another checksum is
kept aside as `<name>.wrong`, which nothing reads. What is in the way of many downloads is known: a page that
says "moved" or "log in", served with code 200 under the file's name; it is recognised.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from caffeflow.errors import DataError, StoppedError
from caffeflow.stand_ins import stand_in

_CHUNK: Final = 1 << 18
_SCHEMES: Final = ("https://", "http://")


class AddressError(DataError):
    """An address that does not give the file: there, on the way, or it gives another one."""


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """What to fetch, and how to know that it is right.

    Attributes:
        url: The address.
        checksums: Algorithm (`md5`, `sha1`, `sha256`, …) to what is published; one that agrees is enough.
        size: Bytes, if that is published; an address that has more or fewer is not read to its end.
        timeout_s: How long a silent server is waited for.
        tries: Attempts in a row that bring nothing.
        pause_s: Between two attempts.
    """

    url: str
    checksums: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
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
        fetch: The address and the checksums.
        target: Where it shall lie; its folder is made. An existing file is not fetched again.
        on_bytes: Gets bytes there and bytes in all (None if the server does not say).
        should_stop: Asked after each piece; True ends with what has come so far kept.

    Raises:
        AddressError: No connection, not found, another checksum or size, a page in the file's place.
        DataError: Disk full, or the folder cannot be written to.
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
            is_resumed = file.tell() > 0
            _fetch_all(fetch, file, on_bytes=on_bytes, should_stop=should_stop)
            if is_resumed and what_differs(part, fetch.checksums):
                # The beginning may be another address's, or of another day: all of it from here, once.
                _empty(file)
                _fetch_all(fetch, file, on_bytes=on_bytes, should_stop=should_stop)
            os.fsync(file.fileno())
            _check(fetch, part, target)
            part.replace(target)
    except OSError as error:
        raise DataError(f"{part}: cannot write: {error.strerror}") from error
    return target


def digest_of(path: Path, algorithm: str, *, on_bytes: Callable[[int], None] = lambda _: None) -> str:
    """Returns a file's checksum in hexadecimal, as publishers print it.

    Args:
        path: The file.
        algorithm: As hashlib knows it: `md5`, `sha1`, `sha256`, …
        on_bytes: Gets the size of each piece that was read.

    Raises:
        DataError: The file cannot be read.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    try:
        with path.open("rb") as file:
            while piece := file.read(_CHUNK):
                digest.update(piece)
                on_bytes(len(piece))
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error
    return digest.hexdigest()


def what_differs(path: Path, checksums: Mapping[str, str]) -> str:
    """Returns "sha1 …, expected …" if no published checksum agrees; empty if one does or none is known."""
    found = []
    for algorithm, published in checksums.items():
        digest = digest_of(path, algorithm)
        if digest == published.lower():
            return ""
        found.append(f"{algorithm} {digest}, expected {published}")
    return found[0] if found else ""


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
                raise AddressError(f"{fetch.url}: {reason}; see whether the address has moved") from error
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        if file.tell() > before:
            tries = 0
            continue
        tries += 1
        if tries >= fetch.tries:
            kept = f"; {file.tell():,} bytes are kept in {file.name}, the same command goes on from there"
            raise AddressError(f"{fetch.url}: cannot be fetched ({reason}){kept if file.tell() else ''}")
        time.sleep(fetch.pause_s)
        if file.tell() and should_stop():
            raise _stopped(file)


def _fetch_rest(
    fetch: Fetch,
    file: BinaryIO,
    *,
    on_bytes: Callable[[int, int | None], None],
    should_stop: Callable[[], bool],
) -> bool:
    """Asks for what is missing and appends it; tells whether the file is now as long as it shall be."""
    request = urllib.request.Request(fetch.url, headers={"User-Agent": "caffeflow"})  # noqa: S310 - scheme checked
    if file.tell():
        request.add_header("Range", f"bytes={file.tell()}-")
    try:
        response = urllib.request.urlopen(request, timeout=fetch.timeout_s)  # noqa: S310 - scheme checked
    except urllib.error.HTTPError as error:
        if error.code == 416 and file.tell():
            return _is_all(fetch, error.headers.get("Content-Range", ""), file)
        raise
    with response:
        begin = file.tell() if response.status == 206 else 0  # a server that cannot resume sends all
        total = _total(response.headers.get("Content-Length"), begin) or fetch.size
        piece = response.read(_CHUNK)
        if begin == 0:
            _refuse_page(fetch.url, piece)
        _refuse_size(fetch, total)
        if begin != file.tell():  # only now: what had come is not given up for a page
            _empty(file)
        while piece:
            _append(file, piece)
            on_bytes(file.tell(), total)
            if should_stop():
                raise _stopped(file)
            piece = response.read(_CHUNK)
    return total is None or file.tell() >= total


def _stopped(file: BinaryIO) -> StoppedError:
    return StoppedError(
        f"stopped with {file.tell():,} bytes in {file.name}; the same command goes on from there"
    )


def _append(file: BinaryIO, piece: bytes) -> None:
    try:
        file.write(piece)
        file.flush()  # what is counted is on the disk's side, whatever happens next
    except OSError as error:  # apart from the network's own errors, which are tried again
        raise DataError(f"{file.name}: cannot write: {error.strerror}") from error


def _is_all(fetch: Fetch, content_range: str, file: BinaryIO) -> bool:
    """Tells, when the server has nothing behind our end, whether that is the file's end ("bytes */123")."""
    total = content_range.rpartition("/")[2]
    if total.isdigit() and int(total) != file.tell():
        _refuse_size(fetch, int(total))
        _empty(file)
        return False
    return True


def _total(length: str | None, begin: int) -> int | None:
    return begin + int(length) if length and length.isdigit() else None


def _empty(file: BinaryIO) -> None:
    file.truncate(0)
    file.seek(0)


def _refuse_size(fetch: Fetch, total: int | None) -> None:
    if fetch.size is not None and total not in (None, fetch.size):
        raise AddressError(
            f"{fetch.url}: the server has {total:,} bytes, expected {fetch.size:,}: it is another file"
        )


def _refuse_page(url: str, first: bytes) -> None:
    truth = stand_in(first)
    if truth:
        raise AddressError(
            f"{url}: the server sends {truth} in place of the file; open the address in a browser to see why"
        )


def _check(fetch: Fetch, part: Path, target: Path) -> None:
    size = part.stat().st_size
    differs = what_differs(part, fetch.checksums)
    if not fetch.checksums and fetch.size not in (None, size):
        differs = f"{size:,} bytes, expected {fetch.size:,}"
    if differs:
        aside = target.with_name(f"{target.name}.wrong")
        part.replace(aside)
        raise AddressError(
            f"{fetch.url}: what was fetched has {differs}; it is kept aside as {aside} and never used, "
            "run the same command to fetch it afresh"
        )
