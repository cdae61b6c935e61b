"""What a source hands to the pipeline: jobs (name, label or boxes, where the bytes are) and the list of them.

A source lists, it does not read: a `Location` says where the bytes are, and is opened in a worker
when its turn comes. Locations are small, hashable and picklable, and `jobs.py` writes them to disk.
"""

from __future__ import annotations

import errno
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from caffeflow.data.boxes import Annotation
from caffeflow.errors import DataError
from caffeflow.proto.labelmap import LabelMap

SplitName: TypeAlias = Literal["train", "val"]
Task: TypeAlias = Literal["classification", "detection"]
SPLITS: Final[tuple[SplitName, ...]] = ("train", "val")
NO_LABEL: Final = -1  # of an image with boxes, as convert_annoset writes it

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


@dataclass(frozen=True, slots=True)
class Deflated:
    """An image file inside a zip archive, compressed there."""

    archive: Path
    offset: int
    stored_size: int
    size: int

    def read(self) -> bytes:
        """Returns the member's bytes; no more are unpacked than the archive says it has."""
        stored = _read_at(self.archive, offset=self.offset, size=self.stored_size)
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = inflater.decompress(stored, self.size + 1)
        except zlib.error as error:
            raise UnreadableError(
                f"{self.archive}: the member at byte {self.offset} is damaged ({error}); fetch it again",
                reason="unreadable",
            ) from error
        if len(content) != self.size or not inflater.eof:
            raise UnreadableError(
                f"{self.archive}: the member at byte {self.offset} does not unpack to {self.size} bytes: it "
                "is damaged, fetch it again",
                reason="truncated",
            )
        return content


Location: TypeAlias = File | Member | Pixels | Deflated


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One image to prepare.

    Attributes:
        name: Its path in a Caffe list, such as `cat/1.jpg`: relative, with `/`. It ends the LMDB key.
        label: Its class, from 0; `NO_LABEL` where the boxes have the labels.
        location: Where its bytes are.
        annotation: Its boxes, for detection; maybe none, but then an annotation without boxes.
        copy: 0: the image itself; else which of its copies that are changed at random.
    """

    name: str
    label: int
    location: Location
    annotation: Annotation | None = None
    copy: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Omission:
    """An image or a box that a source had to leave out as it read the annotations.

    Attributes:
        split: Where it would be.
        name: The image's name, as a job would have it.
        reason: A word or two to count by: `unknown class`.
        detail: What the file says there: `'dgo' at 12,34,56,78`.
        is_box: Whether it is a box of an image that stays; else the image itself is left out.
    """

    split: SplitName
    name: str
    reason: str
    detail: str = ""
    is_box: bool = False


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Everything a source found, in the source's own order (the pipeline shuffles).

    Attributes:
        splits: The jobs of `train`, and of `val` where there is one.
        class_names: The name of each label, or empty if the source does not know them.
        notes: Sentences for the user, such as what was passed over.
        label_map: The labels of the boxes, background among them; only detection has one. The display
            names in it are the dataset's class names, so that `class_names` stays empty.
        omissions: What had to be left out; counted and listed with the rejects, errors with `strict`.
    """

    splits: Mapping[SplitName, Sequence[Job]]
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    label_map: LabelMap | None = None
    omissions: Sequence[Omission] = ()

    @property
    def task(self) -> Task:
        """What nets learn from it."""
        return "classification" if self.label_map is None else "detection"


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
    if job.annotation is not None and job.label != NO_LABEL:
        raise DataError(
            f"image '{job.name}': has boxes, and label {job.label}; expected {NO_LABEL} beside boxes"
        )
    if job.annotation is None and not 0 <= job.label <= _MAX_LABEL:
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
