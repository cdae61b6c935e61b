"""`test_name_size.txt`: name, height and width of each image of a test set, in the order of its records.

DetectionOutput writes result files by it, and DetectionEvaluate takes the images' sizes in pixels from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow.errors import DataError

_MOST_DIGITS: Final = 9  # of a height or width


@dataclass(frozen=True, slots=True)
class NameSize:
    """One image of a test set: its name in result files, and its size in pixels."""

    name: str
    height: int
    width: int


def read_name_sizes(path: Path) -> tuple[NameSize, ...]:
    """Reads a file of lines `name height width`.

    Raises:
        DataError: It cannot be read, is empty, or a line is something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text"
        raise DataError(f"{path}: name_size_file cannot be read: {reason}") from error
    entries = tuple(_entry(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip())
    if not entries:
        raise DataError(f"{path}: has no line; expected a line 'name height width' for each test image")
    return entries


def _entry(line: str, where: str) -> NameSize:
    # Caffe: its reading ends silently at a line that it cannot read (detection_evaluate_layer.cpp).
    words = line.split()
    if len(words) != 3 or not all(_is_size(word) for word in words[1:]):
        raise DataError(f"{where}: expected 'name height width', found '{line.strip()}'; correct the line")
    return NameSize(words[0], int(words[1]), int(words[2]))


def _is_size(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= _MOST_DIGITS and int(word) > 0
