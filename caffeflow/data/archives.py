"""Reading tar archives in place: where each member's bytes lie, and nothing unpacked that could do harm.

The rule to know: an archive comes from outside, so each member's name is checked before it is used, and an
archive that ends early is an error. Python's tarfile takes a damaged header in the middle for the end.
"""

from __future__ import annotations

import gzip
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, cast

from caffeflow.errors import DataError
from caffeflow.stand_ins import stand_in

_BLOCK: Final = tarfile.BLOCKSIZE
_CHUNK: Final = 1 << 20
_GZIP_MAGIC: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file of a tar archive: its checked name, and where its bytes lie."""

    name: str
    offset: int
    size: int


def tar_entries(path: Path) -> Iterator[Entry]:
    """Yields the files of an uncompressed tar in the order they lie; offsets count from its first byte.

    Raises:
        DataError: It is no tar, it is compressed, it ends early, or a member's name or kind is not safe.
    """
    with _open(path) as file:
        if _is_gzip(file):
            raise DataError(f"{path}: is compressed; unpack it with gunzip, so that it can be read in place")
        yield from _entries(file, str(path), start=0, end=_size(file))


def inner_entries(path: Path, inner: Entry) -> Iterator[Entry]:
    """Yields the files of a tar that is a member of `path`; offsets count from the first byte of `path`."""
    with _open(path) as file:
        yield from _entries(
            file, f"{path}: member '{inner.name}'", start=inner.offset, end=inner.offset + inner.size
        )


def read_members(path: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Returns the contents of some members of a tar, gzipped or not, by name; for small ones."""
    with _uncompressed(path) as file:
        return {
            entry.name: b"".join(_content(file, entry, path))
            for entry in _entries(file, str(path), start=0, end=None)
            if wanted(entry.name)
        }


def unpack(
    path: Path,
    target: Path,
    wanted: Callable[[str], bool],
    *,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> None:
    """Unpacks some members of a tar, gzipped or not, into a new folder that appears only when it is whole.

    Members lie flat in `target`: the folders in their names are left out.

    Args:
        path: The archive.
        target: The folder to make; it must not exist.
        wanted: Tells by the member's name whether to unpack it.
        on_bytes: Gets the number of bytes written, piece by piece.

    Raises:
        DataError: The archive is damaged or not safe, or the disk is full.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as temporary:
            folder = Path(temporary) / "content"
            folder.mkdir()
            with _uncompressed(path) as file:
                for entry in _entries(file, str(path), start=0, end=None):
                    if wanted(entry.name):
                        _write(folder / PurePosixPath(entry.name).name, _content(file, entry, path), on_bytes)
            folder.replace(target)
    except OSError as error:
        raise DataError(f"{target}: cannot unpack {path}: {error.strerror}") from error


def check_archive(path: Path) -> None:
    """Refuses a web page or a git-lfs pointer in an archive's place, before anything else is said of it."""
    with _open(path) as file:
        _refuse_stand_in(file.read(256), str(path))


def check_name(name: str, where: str) -> None:
    """Refuses the name of a member that would reach out of the folder, or cannot stand in a list.

    Args:
        name: As the archive has it.
        where: What messages call the archive.
    """
    if name.startswith("/") or ".." in name.split("/") or "\\" in name or not name.isprintable():
        raise DataError(
            f"{where}: member {name!r} has an unsafe name; expected a relative name of printable "
            "characters without '..'; do not use this archive"
        )


def _entries(file: BinaryIO, where: str, *, start: int, end: int | None) -> Iterator[Entry]:
    """Walks the headers of one tar within an open file; `end` is unknown for a compressed one."""
    try:
        file.seek(start)
        _refuse_stand_in(file.read(256), where)
        file.seek(start)
        # The constructor reads the first header; the walk begins again at `start` with its own checks.
        with tarfile.TarFile(fileobj=file, errors="surrogateescape") as tar:
            tar.offset = start
            while not _is_end(file, tar.offset, end, where):
                file.seek(tar.offset)
                info = tarfile.TarInfo.fromtarfile(tar)
                _check(info, where)
                if end is not None and info.offset_data + info.size > end:
                    raise DataError(
                        f"{where}: ends at byte {end - start:,} within '{info.name}', which reaches to "
                        f"{info.offset_data + info.size - start:,}: it is truncated; fetch or copy it again"
                    )
                if info.isfile():
                    yield Entry(_plain(info.name), info.offset_data, info.size)
    except tarfile.TarError as error:
        raise DataError(f"{where}: is not a tar archive, or is damaged ({error}); fetch it again") from error


def _is_end(file: BinaryIO, offset: int, end: int | None, where: str) -> bool:
    """Tells whether the end mark, a block of zeros, lies here; anything short of a block is an early end."""
    file.seek(offset)
    block = file.read(_BLOCK) if end is None or offset + _BLOCK <= end else b""
    if len(block) < _BLOCK:
        raise DataError(
            f"{where}: ends at byte {offset:,} without the mark that closes a tar archive: it is truncated; "
            "fetch or copy it again"
        )
    return block.count(0) == _BLOCK


def _check(info: tarfile.TarInfo, where: str) -> None:
    """Refuses a member that would reach out of the folder, or that is not plainly a file or folder."""
    check_name(info.name, where)
    if info.issym() or info.islnk():
        raise DataError(
            f"{where}: member '{info.name}' is a link to '{info.linkname}'; expected files and folders only; "
            "do not use this archive, or unpack it yourself"
        )
    if info.issparse() or info.size < 0 or not (info.isfile() or info.isdir()):
        raise DataError(
            f"{where}: member '{info.name}' is neither a plain file nor a folder; do not use this "
            "archive, or unpack it yourself"
        )


def _plain(name: str) -> str:
    """Returns a name without `./` and doubled slashes; by strings, since there may be a million."""
    parts = name.split("/")
    return "/".join(part for part in parts if part not in ("", ".")) if "." in parts or "" in parts else name


def _content(file: BinaryIO, entry: Entry, path: Path) -> Iterator[bytes]:
    """Yields a member's bytes in pieces; all of them, or an error."""
    file.seek(entry.offset)
    left = entry.size
    while left:
        piece = file.read(min(left, _CHUNK))
        if not piece:
            raise DataError(f"{path}: ends within '{entry.name}': it is truncated; fetch or copy it again")
        left -= len(piece)
        yield piece


def _write(path: Path, pieces: Iterator[bytes], on_bytes: Callable[[int], None]) -> None:
    try:
        with path.open("xb") as out:
            for piece in pieces:
                out.write(piece)
                on_bytes(len(piece))
    except OSError as error:
        raise DataError(f"{path}: cannot write: {error.strerror}") from error


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    # Unbuffered: between two headers lies a picture, and a buffer would be filled in vain each time.
    try:
        with path.open("rb", buffering=0) as file:
            yield cast("BinaryIO", file)
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error


@contextmanager
def _uncompressed(path: Path) -> Iterator[BinaryIO]:
    """Opens a tar, through gzip if its first bytes say so."""
    with _open(path) as file:
        if not _is_gzip(file):
            yield file
            return
        try:
            with gzip.open(path, "rb") as expanded:
                yield cast("BinaryIO", expanded)
                while expanded.read(_CHUNK):  # the checksum lies at the very end, behind the tar's end mark
                    continue
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path}: is damaged or truncated ({error}); fetch or copy it again") from error


def _is_gzip(file: BinaryIO) -> bool:
    file.seek(0)
    return file.read(2) == _GZIP_MAGIC


def _size(file: BinaryIO) -> int:
    return file.seek(0, 2)


def _refuse_stand_in(head: bytes, where: str) -> None:
    truth = stand_in(head)
    if truth:
        raise DataError(f"{where}: is {truth}, not an archive; download the file itself")
