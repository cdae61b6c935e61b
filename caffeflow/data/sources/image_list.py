"""Caffe's list files: a line an image, its path, a space, its label.

As Caffe reads them, the label is what follows the *last* space, so that paths may hold spaces. Where Caffe
takes anything for a number (a word is 0) and a negative label for a very large one, here it is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from caffeflow.data.packed import FileJobs
from caffeflow.data.readers.image_list import read_image_list
from caffeflow.data.sample import Listing
from caffeflow.errors import DataError

_SHOWN: Final = 10


@dataclass(frozen=True, kw_only=True)
class ListSettings:
    """The list files, and the folder that their paths start from.

    Attributes:
        train: The list of the train split.
        val: The list of the val split, if there is one.
        root: Where the paths start; None: the folder of the train list.
        class_names: A file with the name of each label, a line each.
    """

    train: Path
    val: Path | None = None
    root: Path | None = None
    class_names: Path | None = None


def list_jobs(settings: ListSettings) -> Listing:
    """Lists the images in the order of the lines; whether they exist shows when they are read.

    Raises:
        DataError: A list is missing or empty, a line does not read (with `file:line`), all labels are one.
    """
    root = settings.root if settings.root is not None else settings.train.parent
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; --root says where the paths in the lists start")
    names = read_class_names(settings.class_names) if settings.class_names else ()
    train = _jobs(settings.train, root)
    learned = set(train.labels)
    if len(learned) == 1:
        raise DataError(
            f"{settings.train}: all {len(train)} labels are {train.labels[0]}, and nothing can be learned "
            "from one class; expected at least two"
        )
    notes = [*_gap_notes(learned, settings.train)]
    if settings.val is None:
        _check_names(names, learned, settings)
        notes.append("no val split to test nets on; give its list with --val")
        return Listing(splits={"train": train}, class_names=names, notes=tuple(notes))
    val = _jobs(settings.val, root)
    _check_names(names, learned | set(val.labels), settings)
    unlearned = sorted(set(val.labels) - learned)
    if unlearned:
        notes.append(f"{settings.val}: labels that {settings.train} lacks: {_shortened(unlearned)}")
    return Listing(splits={"train": train, "val": val}, class_names=names, notes=tuple(notes))


def read_class_names(path: Path) -> tuple[str, ...]:
    """Returns the lines of a file of class names; a line's number, from 0, is the label."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text; convert it, for instance with iconv") from error
    return tuple(line.strip() for line in lines if line.strip())


def _jobs(path: Path, root: Path) -> FileJobs:
    entries = read_image_list(path)
    jobs = FileJobs(root)
    for index, label in enumerate(entries.labels.tolist()):
        if label < 0:
            raise DataError(f"{entries.where(index)}: label is {label}; Caffe counts classes from 0")
        jobs.add(_relative(entries.name(index).strip(" "), root, entries.where(index)), label)
    return jobs


def _relative(name: str, root: Path, where: str) -> str:
    """Returns a path as it may end a key: below the root, without the root."""
    path = PurePosixPath(name)
    if path.is_absolute() and path.is_relative_to(root.absolute()):
        return path.relative_to(root.absolute()).as_posix()
    if not name or path.is_absolute() or ".." in path.parts or not name.isprintable():
        raise DataError(
            f"{where}: path {name!r}: expected one below --root ({root}), of printable characters and "
            "without '..'; give a folder that holds all images as --root"
        )
    return name


def _gap_notes(labels: set[int], path: Path) -> Iterator[str]:
    missing = _missing(sorted(labels))
    if missing:
        yield (
            f"{path}: labels go up to {max(labels)}, and some never occur: {_shortened(missing)}; the net "
            "needs an output for each all the same"
        )


def _missing(labels: Sequence[int]) -> list[str]:
    """Returns the gaps of sorted labels as `3` or `5-9`, without counting through them."""
    gaps: list[str] = []
    expected = 0
    for label in labels:
        if label > expected:
            gaps.append(f"{expected}" if label == expected + 1 else f"{expected}-{label - 1}")
        expected = label + 1
    return gaps


def _shortened(items: Sequence[object]) -> str:
    shown = ", ".join(map(str, items[:_SHOWN]))
    return shown if len(items) <= _SHOWN else f"{shown} and {len(items) - _SHOWN} more"


def _check_names(names: Sequence[str], labels: set[int], settings: ListSettings) -> None:
    if names and max(labels) >= len(names):
        raise DataError(
            f"{settings.class_names}: names {len(names)} classes, and the lists go up to label "
            f"{max(labels)}; expected a line for each label from 0"
        )
