"""The file of weights that a command writes: may it be, and in which format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caffeflow.errors import DataError, UsageError
from caffeflow.proto.binary import LayerArrays
from caffeflow.weights.formats import ending_of, write_weights


def check_out(path: Path, *, force: bool) -> None:
    """Checks that a file may be written, before any work is done.

    Raises:
        UsageError: It is there already, or its ending says no format of weights.
    """
    ending_of(path)
    if path.exists() and not force:
        raise UsageError(f"{path}: is there already; replace it with --force, or choose another --out")


def write_out(path: Path, *, name: str, layers: Sequence[LayerArrays]) -> None:
    """Writes weights in the format of the file's ending, and the folder if it is missing.

    Raises:
        DataError: The folder or the file cannot be written.
        WeightsError: The format cannot hold the layers' names.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{path.parent}: cannot be made: {error.strerror}; choose another folder with --out"
        ) from error
    write_weights(path, name=name, layers=layers)
