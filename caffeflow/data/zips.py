"""Reading zip archives in place: where each member's bytes lie, stored as they are or deflated.

As with tars, an archive comes from outside: names and kinds are checked before use (`archives.check_name`).
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from stat import S_ISLNK
from typing import BinaryIO, Final

from caffeflow.data.archives import check_archive, check_name
from caffeflow.data.sample import Deflated, Location, Member
from caffeflow.errors import DataError

_LOCAL_HEADER: Final = struct.Struct("<4s22xHH")  # mark, then the lengths of name and extra field
_LOCAL_MARK: Final = b"PK\x03\x04"
_IS_ENCRYPTED: Final = 0x1


def zip_members(
    path: Path, *, on_bytes: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[str, Location]]:
    """Yields the files of a zip in the order they lie: checked name, and location.

    Args:
        path: The archive.
        on_bytes: Hears how far into the archive the walk is.

    Raises:
        DataError: It is no zip, ends early, is encrypted, or a member's name or kind is not safe.
    """
    check_archive(path)
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb", buffering=0) as file:
            size = file.seek(0, 2)
            for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
                if info.is_dir():
                    continue
                _check(info, path)
                yield info.filename, _locate(info, file, path, size)
                on_bytes(info.header_offset)
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{path}: is no zip archive, or is truncated ({error}); fetch or copy it again"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _check(info: zipfile.ZipInfo, path: Path) -> None:
    check_name(info.filename, str(path))
    if S_ISLNK(info.external_attr >> 16):
        raise DataError(
            f"{path}: member '{info.filename}' is a link; expected files and folders only; do not use this "
            "archive, or unpack it yourself"
        )
    if info.flag_bits & _IS_ENCRYPTED:
        raise DataError(f"{path}: member '{info.filename}' is encrypted; unpack the archive yourself")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(
            f"{path}: member '{info.filename}' is compressed by method {info.compress_type}; expected stored "
            "or deflated; unpack the archive yourself"
        )


def _locate(info: zipfile.ZipInfo, file: BinaryIO, path: Path, size: int) -> Location:
    """Returns where a member's bytes lie; only the header right before them knows."""
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    mark, name, extra = _LOCAL_HEADER.unpack(header) if len(header) == _LOCAL_HEADER.size else (b"", 0, 0)
    offset = info.header_offset + _LOCAL_HEADER.size + name + extra
    if mark != _LOCAL_MARK or offset + info.compress_size > size:
        raise DataError(
            f"{path}: member '{info.filename}' is not where the index says: it is damaged; fetch "
            "or copy it again"
        )
    if info.compress_type == zipfile.ZIP_STORED:
        return Member(path.absolute(), offset, info.file_size)
    return Deflated(path.absolute(), offset, info.compress_size, info.file_size)
