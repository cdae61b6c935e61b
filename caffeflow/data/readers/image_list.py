"""Caffe's image lists: a line `path label` for each image, the label after the line's last space.

Paths may contain spaces. Caffe takes a label that is no number for 0 (atoi); here it is an error with
its line. Lines are kept as they are and cut when asked for, since lists of a million lines are usual.
"""

from __future__ import annotations

import os
import re
from array import array
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.data.readers.lmdb import refuse_unfinished
from caffeflow.errors import DataError

_NUMBER: Final = re.compile(rb"[+-]?[0-9]+")
_LONGEST_LABEL: Final = 32  # characters; longer ones are no numbers of 32 bits, and take long to read


class ImageList:
    """A list file, read whole and checked; blank lines are passed over.

    Args:
        path: The file.
        text: What is in it.

    Attributes:
        labels: The label of each entry, int32.
    """

    def __init__(self, path: Path, text: bytes) -> None:
        self.path = path
        self._lines: list[bytes] = []
        self._numbers = array("i")
        labels = array("i")
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            labels.append(_label(line, where=f"{path}:{number}"))
            self._lines.append(line)
            self._numbers.append(number)
        self.labels: NDArray[np.int32] = np.array(labels, np.int32)

    def __len__(self) -> int:
        return len(self._lines)

    def name(self, index: int) -> str:
        """Returns the path of entry `index` as it stands in the file."""
        return os.fsdecode(self._lines[index].rpartition(b" ")[0])

    def where(self, index: int) -> str:
        """Returns `file:line` of entry `index`, for messages."""
        return f"{self.path}:{self._numbers[index]}"


def read_image_list(path: Path) -> ImageList:
    """Reads a list file.

    Raises:
        DataError: It is missing, empty, of an unfinished dataset, or a line is not `path label`.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read as an image list: {error.strerror}") from error
    refuse_unfinished(path)
    entries = ImageList(path, text)
    if not len(entries):
        raise DataError(f"{path}: is empty; expected a line 'path label' for each image")
    return entries


def _label(line: bytes, *, where: str) -> int:
    name, space, word = line.rpartition(b" ")
    if not space or not name:
        advice = "; a tab stands where a space must" if b"\t" in line else ""
        raise DataError(f"{where}: expected 'path label', found '{os.fsdecode(line)}'{advice}")
    if not _NUMBER.fullmatch(word):
        raise DataError(
            f"{where}: label '{os.fsdecode(word)}' is not a whole number; it is what follows the last space"
        )
    if len(word) > _LONGEST_LABEL or abs(int(word)) >= 2**31:
        raise DataError(f"{where}: label {word.decode()} does not fit into 32 bits, as labels must")
    return int(word)
