"""Window files of WindowData: images, and windows in each with a class and an overlap.

    # 0                            number of the image, from 0
    path/of/image.jpg
    3 375 500                      channels, height, width; in Caffe's files each on a line of its own
    2                              how many windows follow
    7 0.83 20 31 200 180           class, overlap with an object, x1, y1, x2, y2 (the last pixels included)
    0 0.12 5 5 60 90

Words may be set apart by any blanks, so a path can hold none. Caffe takes the number of an image for its
place in the file without looking; here a file with gaps is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from caffeflow.data.readers.lmdb import refuse_unfinished
from caffeflow.errors import DataError

Windows = NDArray[np.int32]
"""A row (image, label, x1, y1, x2, y2) a window."""

_FIELDS: Final = 6
_COLOURS: Final = 3


@dataclass(frozen=True)
class WindowFile:
    """What a window file holds.

    Attributes:
        images: The paths, as written.
        objects: Windows that show an object.
        background: Windows that show none; their label is 0.
    """

    images: tuple[str, ...]
    objects: Windows
    background: Windows


def read_window_file(path: Path, *, least_overlap: float, background_overlap: float) -> WindowFile:
    """Reads a window file.

    Args:
        path: The file.
        least_overlap: With so much or more a window shows an object.
        background_overlap: With less it is background; what is between the two is left out.

    Raises:
        DataError: It is missing, of another form, or has no windows of one kind.
    """
    images: list[str] = []
    kinds: tuple[list[Windows], list[Windows]] = ([], [])
    try:
        with path.open() as file:
            words = (word for line in file for word in line.split())
            for mark in words:
                name, windows, overlaps = _read_image(path, mark, len(images), words)
                is_object = overlaps >= np.float32(least_overlap)
                is_background = ~is_object & (overlaps < np.float32(background_overlap))
                if np.any(windows[is_object, 1] < 1):
                    raise DataError(
                        f"{path}: image {len(images)}: a window with an object has class"
                        f" {windows[is_object, 1].min()}; classes count from 1, 0 is background"
                    )
                windows[is_background, 1] = 0
                images.append(name)
                kinds[0].append(windows[is_object])
                kinds[1].append(windows[is_background])
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a window file: {error}") from error
    refuse_unfinished(path)
    if not images:
        raise DataError(f"{path}: is empty; expected '# 0', then an image and its windows")
    objects, background = (np.concatenate(kind) for kind in kinds)
    for windows, rule in (
        (objects, f"an overlap of {least_overlap:g} or more"),
        (background, f"an overlap below {background_overlap:g}"),
    ):
        if not len(windows):
            raise DataError(f"{path}: has no window with {rule}; each batch needs windows of both kinds")
    return WindowFile(tuple(images), objects, background)


def _read_image(
    path: Path, mark: str, number: int, words: Iterator[str]
) -> tuple[str, Windows, NDArray[np.float32]]:
    """Returns an image's path, its windows and their overlaps."""

    def refuse(what: str) -> NoReturn:
        raise DataError(f"{path}: image {number}: {what}")

    head = [mark, *islice(words, 6)]
    if mark != "#":
        refuse(f"begins with '{mark}'; expected '#' and its number")
    if len(head) < 7:
        refuse("ends early; expected '#', a number, a path, channels, height, width and a number of windows")
    try:
        found, channels, *_, count = (int(word) for word in (head[1], *head[3:]))
    except ValueError:
        refuse(f"expected whole numbers, found '{' '.join([head[1], *head[3:]])}'")
    if found != number:
        refuse(f"is numbered {found}; images must be numbered from 0 without gaps, as Caffe counts them")
    if channels != _COLOURS:
        refuse(f"has {channels} channels; expected 3, as Caffe reads it in colour")
    fields = list(islice(words, min(_FIELDS * max(count, 0), sys.maxsize)))
    if count < 0 or len(fields) < _FIELDS * count:
        refuse(f"{count} windows are announced, {len(fields) // _FIELDS} are there")
    whole, overlaps = _read_rows(fields, refuse)
    windows = np.empty((count, _FIELDS), np.int32)
    windows[:, 0] = number
    windows[:, 1:] = whole
    return head[2], windows, overlaps


def _read_rows(
    fields: list[str], refuse: Callable[[str], NoReturn]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Returns the whole numbers of each window, (class, x1, y1, x2, y2), and its overlap."""
    try:
        rows = np.array(fields, np.float64).reshape(-1, _FIELDS)
    except ValueError as error:
        refuse(f"a window is not 'class overlap x1 y1 x2 y2': {error}")
    whole, overlaps = rows[:, (0, 2, 3, 4, 5)], rows[:, 1]
    # Neither nan nor an infinite number is below a bound.
    if not (np.abs(whole) < 2**31).all() or (whole % 1).any():
        refuse("a class or a corner is no whole number of 32 bits")
    if not (np.abs(overlaps) <= np.finfo(np.float32).max).all():
        refuse("an overlap is no number of single precision")
    return whole, overlaps.astype(np.float32)
