"""Weights as HDF5 in Caffe's own layout: the dataset `data/<layer>/<blob index>` holds one blob.

Where it surprises:
  * Caffe looks at the names directly under `data` only. A layer with '/' in its name lies in a group of a
    group, and Caffe then ignores it, or dies of the inner group if a layer of the outer name exists;
  * Caffe stores what layers share once, with the first of them, and compares shapes exactly: the
    four-dimensional blobs of old caffemodels fit no net from here;
  * Caffe's own files name no types and have no order but that of the names.
Beside `data`, which is all that Caffe opens, stands our header, and where they are wanted the gradients,
as `diff/<layer>/<blob index>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from caffeflow.errors import WeightsError
from caffeflow.files import replacing
from caffeflow.proto.binary import Array, LayerArrays
from caffeflow.proto.hdf5_reading import datasets, find_own, read_text, reading, values
from caffeflow.proto.keyed_arrays import HEADER_KEY, from_table, header, keyed, keys_of

_DATA: Final = "data"
_DIFF: Final = "diff"

Shared = Mapping[str, tuple[str, tuple[int, ...]]]
"""The key of a blob that a layer shares: the key of its owner's, and the shape that it has here."""


def write_hdf5(
    path: Path, *, name: str, layers: Sequence[LayerArrays], diffs: Sequence[LayerArrays] = ()
) -> None:
    """Writes layers so that Caffe reads them too; the file is the same for the same layers.

    Args:
        path: The file.
        name: The net's.
        layers: The layers.
        diffs: The same layers with the gradients of their blobs, where those are wanted too.

    Raises:
        WeightsError: A layer has a name that HDF5 cannot hold.
    """
    import h5py

    check_names(path, [(layer.name, len(layer.arrays)) for layer in layers])
    with replacing(path) as temporary, h5py.File(temporary, "w", libver=("earliest", "v110")) as file:
        data = file.create_group(_DATA)
        for key, array in keyed(path, layers).items():
            data.create_dataset(key, data=array)
        if diffs:
            group = file.create_group(_DIFF)
            for key, array in keyed(path, diffs).items():
                group.create_dataset(key, data=array)
        text = header(name, layers).encode()
        file[HEADER_KEY] = np.array(text, f"S{len(text) + 1}")


def check_names(where: str | Path, counts: Iterable[tuple[str, int]]) -> None:
    """Makes sure that HDF5 can hold layers.

    Args:
        where: The file, for messages.
        counts: Name and number of blobs of each layer.

    Raises:
        WeightsError: A layer has a name that HDF5 cannot hold, or that another one has.
    """
    held = [(name, count) for name, count in counts if count]
    keys = keys_of(where, held)
    for name, _ in held:
        if not _is_path(name):
            raise WeightsError(f"{where}: HDF5 cannot hold a layer named '{name}'; rename it")
    known = set(keys)
    for key in keys:
        parts = key.split("/")
        if any("/".join(parts[:end]) in known for end in range(1, len(parts))):
            raise WeightsError(f"{where}: in HDF5 '{key}' would be a blob and a layer; rename the layer")


def read_hdf5(path: Path, *, shared: Shared | None = None) -> tuple[str, list[LayerArrays]]:
    """Returns the net's name and its layers, of our files and of Caffe's.

    Args:
        path: The file.
        shared: The blobs that layers of the net share, which Caffe leaves out of its files.

    Raises:
        WeightsError: The file is damaged, or holds something else than weights.
    """
    import h5py

    with reading(path) as file:
        data = find_own(path, file, _DATA)
        if not isinstance(data, h5py.Group):
            raise WeightsError(f"{path}: has no group '{_DATA}'; expected the HDF5 snapshot of a Caffe net")
        table = {key: values(path, key, dataset) for key, dataset in datasets(path, data)}
        text = _header(path, file)
        if text is None:
            table |= _left_out(table, shared or {})
        return from_table(path, table, text)


def caffe_cannot_find(names: Iterable[str]) -> list[str]:
    """Returns which layers with blobs Caffe would not find in HDF5, because of the '/' in their names."""
    return [name for name in names if "/" in name]


def _left_out(table: Mapping[str, Array], shared: Shared) -> dict[str, Array]:
    return {
        key: table[owner].reshape(shape)
        for key, (owner, shape) in shared.items()
        if key not in table and owner in table
    }


def _header(path: Path, file: Any) -> str | None:
    found = find_own(path, file, HEADER_KEY)
    return None if found is None else read_text(path, HEADER_KEY, found)


def _is_path(name: str) -> bool:
    return "\0" not in name and all(part not in ("", ".") for part in name.split("/"))
