"""HDF5 files of rows that tell where they are from, and a list of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

ROW = (2, 3)


def write_rows(folder: Path, counts: Sequence[int]) -> Path:
    """Writes a file of `data` and `label` for each count, and returns the list; row n holds 100 * n + …."""
    names, first = [], 0
    for number, count in enumerate(counts):
        path = folder / f"rows_{number}.h5"
        labels = np.arange(first, first + count)
        data = 100 * labels.reshape(count, 1, 1) + np.arange(6).reshape(ROW)
        with h5py.File(path, "w") as file:
            file["data"] = data.astype(np.float32)
            file["label"] = labels.astype(np.float64)
        names.append(str(path))
        first += count
    source = folder / "files.txt"
    source.write_text("\n".join(names) + "\n")
    return source
