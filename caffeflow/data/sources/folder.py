"""A folder of images with one sub-folder a class: sorted class names are the labels, from 0.

Known layouts: `DIR/<class>/…`, and `DIR/train/<class>/…` beside `DIR/val/<class>/…` (or validation, valid,
test). Labels always come from the train side, so that a class has one number in both splits.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow.data.packed import FileJobs
from caffeflow.data.sample import Listing
from caffeflow.errors import DataError, UsageError

IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".ppm", ".pgm", ".pnm", ".tif", ".tiff", ".webp", ".jp2"}
)
_VAL_NAMES: Final = ("val", "validation", "valid", "test")
_EXPECTED: Final = "expected a sub-folder for each class, with images in it"


@dataclass(frozen=True, kw_only=True)
class FolderSettings:
    """Where the images are, and how much of them to hold back.

    Attributes:
        root: The folder that holds the class folders, or the folders train and val.
        val_fraction: Share of each class that becomes split val, if the folder has no such split.
        seed: Decides which images these are.
    """

    root: Path
    val_fraction: float | None = None
    seed: int = 0


def list_jobs(settings: FolderSettings) -> Listing:
    """Lists the images of every class; names are `<class>/<path below it>`.

    Raises:
        DataError: A missing or empty folder, a single class, an empty class, a class that only val has.
        UsageError: A fraction was asked for, and the folder has its own val.
    """
    fraction = settings.val_fraction
    if fraction is not None and not 0 < fraction < 1:
        raise UsageError(f"--val-fraction {fraction:g}: expected a number between 0 and 1, such as 0.1")
    train_root, val_root = find_splits(settings.root)
    if val_root is not None and fraction is not None:
        raise UsageError(f"{val_root}: is a val split already; leave out --val-fraction")
    passed_over: Counter[str] = Counter()
    classes = class_folders(train_root)
    train, val = FileJobs(train_root), FileJobs(val_root or train_root)
    for label, name in enumerate(classes):
        images = images_below(train_root, name, passed_over)
        if not images:
            raise DataError(f"{train_root / name}: has no images; {_EXPECTED}, or remove the folder")
        held_back = _choose(images, fraction, seed=f"{settings.seed}/{name}") if fraction else frozenset()
        for image in images:
            (val if image in held_back else train).add(image, label)
    if val_root is not None:
        _list_val(val_root, train_root, classes, val, passed_over)
    return Listing(
        splits={"train": train, "val": val} if len(val) else {"train": train},
        class_names=classes,
        notes=_notes(passed_over, has_val=len(val) > 0),
    )


def find_splits(root: Path) -> tuple[Path, Path | None]:
    """Returns the folders of train and val; (root, None) where the classes lie in `root` itself."""
    names = _folders(root)
    if "train" not in names:
        return root, None
    beside = [name for name in _VAL_NAMES if name in names]
    if not beside and names != ["train"]:
        return root, None  # a class that is called "train"
    return root / "train", root / beside[0] if beside else None


def class_folders(root: Path) -> tuple[str, ...]:
    """Returns the sorted names of the class folders; at least two of them."""
    names = _folders(root)
    if not names:
        loose = sum(1 for path in root.iterdir() if is_image(path.name))
        if loose:
            raise DataError(
                f"{root}: has {loose} images and no folders; {_EXPECTED}; or list the images with "
                "their labels and use: caffeflow prepare list"
            )
        raise DataError(f"{root}: is empty; {_EXPECTED}")
    if len(names) == 1:
        raise DataError(
            f"{root}: has one class, '{names[0]}', and nothing can be learned from one; {_EXPECTED}, at "
            "least two"
        )
    return tuple(names)


def images_below(root: Path, folder: str, passed_over: Counter[str]) -> list[str]:
    """Returns the paths of all images in `root/folder`, at any depth, relative to `root`, sorted.

    Args:
        root: What the paths are relative to.
        folder: The folder to look in.
        passed_over: Counts the suffixes of files that are no images.
    """
    images: list[str] = []
    prefix = os.path.join(root, "")  # noqa: PTH118 - strings all the way: there may be a million
    for path in _files_below(prefix + folder, seen=set()):
        if is_image(path):
            images.append(path.removeprefix(prefix))
        else:
            passed_over[os.path.splitext(path)[1].lower() or "no suffix"] += 1  # noqa: PTH122 - a million times
    return sorted(images)


def is_image(name: str) -> bool:
    """Tells by its suffix whether a file is taken for an image; what it is in truth shows in decoding."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - a million times


def _list_val(
    val_root: Path, train_root: Path, classes: Sequence[str], val: FileJobs, passed_over: Counter[str]
) -> None:
    labels = {name: label for label, name in enumerate(classes)}
    for name in _folders(val_root):
        images = images_below(val_root, name, passed_over)
        if name not in labels and images:
            raise DataError(
                f"{val_root / name}: is a class that {train_root} lacks; the same class has the same "
                "folder name in both"
            )
        for image in images:
            val.add(image, labels[name])
    if not len(val):
        raise DataError(f"{val_root}: has no images; {_EXPECTED}, or remove the folder")


def _choose(images: Sequence[str], fraction: float, *, seed: str) -> frozenset[str]:
    """Picks a class's share for val: at least one, and never all; a single image stays in train."""
    count = min(max(round(len(images) * fraction), 1), len(images) - 1)
    return frozenset(random.Random(seed).sample(images, count))  # noqa: S311 - a split, not a secret


def _folders(root: Path) -> list[str]:
    try:
        with os.scandir(root) as found:
            names = sorted(entry.name for entry in found if entry.is_dir() and not entry.name.startswith("."))
    except FileNotFoundError as error:
        raise DataError(f"{root}: no such folder; {_EXPECTED}") from error
    except OSError as error:
        raise DataError(f"{root}: cannot be listed: {error.strerror}; {_EXPECTED}") from error
    for name in names:
        _check_name(name, root)
    return names


def _check_name(name: str, folder: Path | str) -> None:
    if not name.isprintable():
        raise DataError(f"{folder}: the name {name!r} cannot stand in a list; rename it")


def _files_below(folder: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    """Yields all files that are not hidden; a folder that links make come again is passed over."""
    try:
        state = os.stat(folder)  # noqa: PTH116 - a million times
        if (state.st_dev, state.st_ino) in seen:
            return
        seen.add((state.st_dev, state.st_ino))
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror}") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        _check_name(entry.name, folder)
        if entry.is_dir():
            yield from _files_below(entry.path, seen)
        else:
            yield entry.path


def _notes(passed_over: Counter[str], *, has_val: bool) -> tuple[str, ...]:
    notes: list[str] = []
    if passed_over:
        kinds = ", ".join(f"{suffix} {count}" for suffix, count in sorted(passed_over.items()))
        notes.append(f"passed over {passed_over.total()} files that are no images by their suffix: {kinds}")
    if not has_val:
        notes.append(
            "no val split: nets cannot be tested on this dataset; hold images back with --val-fraction 0.1"
        )
    return tuple(notes)
