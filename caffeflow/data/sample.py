"""What a source hands to the pipeline: jobs (name, label, where the bytes are) and the list of them.

A source lists, it does not read: a `Location` says where the bytes are, and is opened in a worker
when its turn comes. Locations are small, hashable and picklable, and `jobs.py` writes them to disk.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from caffeflow.errors import DataError

SplitName: TypeAlias = Literal["train", "val"]
SPLITS: Final[tuple[SplitName, ...]] = ("train", "val")

_MAX_LABEL: Final = 2**31 - 1  # Datum.label is an int32
_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_MAX_NAME_BYTES: Final = 500  # an LMDB key, of which it is a part, takes 511


class UnreadableError(DataError):
    """An image whose bytes cannot be had; `reason` is one word for counting."""

    def __init__(self, what: str, *, reason: Literal["missing", "unreadable", "truncated"]) -> None:
        super().__init__(what)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class File:
    """An image file."""

    path: Path

    def read(self) -> bytes:
        """Returns the file's bytes."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise _unreadable(self.path, error) from error


@dataclass(frozen=True, slots=True)
class Member:
    """An image file inside an uncompressed archive."""

    archive: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Returns the member's bytes."""
        return _read_at(self.archive, offset=self.offset, size=self.size)


@dataclass(frozen=True, slots=True)
class Pixels:
    """Bare pixels inside a file: one plane (gray) or three planes in the order R, G, B."""

    archive: Path
    offset: int
    channels: int
    height: int
    width: int

    def read(self) -> bytes:
        """Returns the planes, one after the other, rows from the top."""
        return _read_at(self.archive, offset=self.offset, size=self.channels * self.height * self.width)


Location: TypeAlias = File | Member | Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One image to prepare.

    Attributes:
        name: Its path in a Caffe list, such as `cat/1.jpg`: relative, with `/`. It ends the LMDB key.
        label: Its class, from 0.
        location: Where its bytes are.
    """

    name: str
    label: int
    location: Location


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Everything a source found, in the source's own order (the pipeline shuffles).

    Attributes:
        splits: The jobs of `train`, and of `val` where there is one.
        class_names: The name of each label, or empty if the source does not know them.
        notes: Sentences for the user, such as what was passed over.
    """

    splits: Mapping[SplitName, Sequence[Job]]
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_job(job: Job) -> None:
    """Refuses a job that Caffe could not hold: its name would escape or break a list, or its label.

    Raises:
        DataError: Saying which job, and why.
    """
    if not job.name or job.name.startswith("/") or ".." in job.name.split("/"):
        raise DataError(f"image name '{job.name}': expected a relative path without '..'")
    if len(os.fsencode(job.name)) > _MAX_NAME_BYTES:
        raise DataError(f"image name '{job.name}': is longer than {_MAX_NAME_BYTES} bytes; shorten it")
    if _CONTROL.search(job.name):
        raise DataError(f"image name {job.name!r}: has a line break or control character; rename the file")
    if not 0 <= job.label <= _MAX_LABEL:
        raise DataError(
            f"image '{job.name}': label is {job.label}; Caffe counts classes from 0, up to {_MAX_LABEL}"
        )


def _read_at(archive: Path, *, offset: int, size: int) -> bytes:
    try:
        descriptor = os.open(archive, os.O_RDONLY)
        try:
            content = os.pread(descriptor, size, offset)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(archive, error) from error
    if len(content) != size:
        raise UnreadableError(
            f"{archive}: ends within the image at byte {offset}: expected {size} bytes, found "
            f"{len(content)}; the file is incomplete, get it again",
            reason="truncated",
        )
    return content


def _unreadable(path: Path, error: OSError) -> UnreadableError:
    reason: Literal["missing", "unreadable"] = "missing" if error.errno == errno.ENOENT else "unreadable"
    return UnreadableError(f"{path}: cannot be read: {error.strerror}", reason=reason)
