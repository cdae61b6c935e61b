"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from caffeflow.errors import DataError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a file beside another to write by its name; it takes the other's place if the body ends well.

    Args:
        path: The file to make or replace; its folder must exist.

    Raises:
        DataError: The disk is full, or the folder is missing or not writable.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise DataError(f"{path}: cannot write: {error.strerror}") from error
    os.close(handle)
    try:
        yield Path(temporary)
        _sync(temporary)
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot write: {error.strerror or error}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Writes a file whole or not at all: a temporary file beside it, synced, then renamed.

    Args:
        path: The file to make or replace; its folder must exist.
        content: The bytes, or pieces of them in order.

    Raises:
        DataError: The disk is full, or the folder is missing or not writable.
    """
    pieces = (content,) if isinstance(content, bytes) else content
    with replacing(path) as temporary, temporary.open("wb") as out:
        for piece in pieces:
            out.write(piece)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file whole or not at all."""
    write_atomically(path, text.encode())


def _sync(path: str) -> None:
    """Waits until a file's content is on the disk."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    """Returns the process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
