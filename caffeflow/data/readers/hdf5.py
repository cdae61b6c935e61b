"""The HDF5 files of an HDF5Data layer: a text file lists them, each holds a dataset for every top.

Every file is looked at when the list is opened, so that one of another shape is told before training and
not when its turn comes; Caffe copies from it whatever lies there. Only `load` reads values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.errors import DataError

Floats = NDArray[np.float32]

_NUMBERS: Final = "fiu"  # floats, and integers with and without sign; Caffe reads no others


class Hdf5Files:
    """The files of a list.

    Args:
        source: The list: paths between blanks, as they are or from the working folder.
        names: The datasets to read of each.

    Attributes:
        paths: The files.
        rows: How many rows each has.
        shapes: The shape of one row of each dataset.

    Raises:
        DataError: The list or a file cannot be read, or the files do not fit together.
    """

    def __init__(self, source: Path, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self.paths = _read_list(source)
        self.rows: list[int] = []
        self.shapes: tuple[tuple[int, ...], ...] = ()
        for path in self.paths:
            shapes = self._look_into(path)
            self.rows.append(shapes[0][0])
            found = tuple(shape[1:] for shape in shapes)
            self.shapes = self.shapes or found
            for name, shape, first in zip(self._names, found, self.shapes, strict=True):
                if shape != first:
                    raise DataError(
                        f"{path}: rows of dataset '{name}' are {_dims(shape)}, those of '{self.paths[0]}' are"
                        f" {_dims(first)}; all files of '{source}' must have one shape"
                    )
        if not sum(self.rows):
            raise DataError(f"{source}: its files hold no rows; expected at least one")

    def load(self, index: int) -> list[Floats]:
        """Returns the datasets of a file, whole, in single precision."""
        path = self.paths[index]
        with _opened(path) as file:
            arrays = [np.asarray(_dataset(path, file, name)[...], np.float32) for name in self._names]
        if any(len(array) != self.rows[index] for array in arrays):
            raise DataError(f"{path}: was changed while it was in use; start again")
        return arrays

    def _look_into(self, path: Path) -> list[tuple[int, ...]]:
        with _opened(path) as file:
            shapes = [tuple(_dataset(path, file, name).shape) for name in self._names]
        for name, shape in zip(self._names, shapes, strict=True):
            if shape[0] != shapes[0][0]:
                raise DataError(
                    f"{path}: dataset '{name}' has {shape[0]} rows, '{self._names[0]}' has {shapes[0][0]};"
                    " all must have as many"
                )
        return shapes


def _read_list(source: Path) -> list[Path]:
    try:
        text = source.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: cannot be read as a list of HDF5 files: {error}") from error
    paths = [Path(word) for word in text.split()]
    if not paths:
        raise DataError(f"{source}: is empty; expected the path of an HDF5 file a line")
    return paths


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be read as HDF5: {error}") from error


def _dataset(path: Path, file: Any, name: str) -> Any:
    import h5py

    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        there = ", ".join(sorted(file)) or "nothing"
        raise DataError(f"{path}: has no dataset '{name}', as the top is called; it holds {there}")
    if found.dtype.kind not in _NUMBERS or not found.shape:
        raise DataError(
            f"{path}: dataset '{name}' is {_dims(found.shape or ())} of {found.dtype}; expected numbers, with"
            " rows along the first axis"
        )
    return found


def _dims(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "scalar"
