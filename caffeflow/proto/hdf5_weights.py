"""Weights as HDF5 in Caffe's own layout: the dataset `data/<layer>/<blob index>` holds one blob.

Where it surprises:
  * Caffe looks at the names directly under `data` only. A layer with '/' in its name lies in a group of a
    group, and Caffe then ignores it, or dies of the inner group if a layer of the outer name exists;
  * Caffe stores what layers share once, with the first of them, and compares shapes exactly: the
    four-dimensional blobs of old caffemodels fit no net from here;
  * Caffe's own files name no types and have no order but that of the names.
Beside `data`, which is all that Caffe opens, stands our header.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from caffeflow.errors import WeightsError
from caffeflow.files import replacing
from caffeflow.proto.binary import Array, LayerArrays
from caffeflow.proto.keyed_arrays import HEADER_KEY, as_float32, check_size, from_table, header, keyed

_DATA: Final = "data"


def write_hdf5(path: Path, *, name: str, layers: Sequence[LayerArrays]) -> None:
    """Writes layers so that Caffe reads them too; the file is the same for the same layers.

    Raises:
        WeightsError: A layer has a name that HDF5 cannot hold.
    """
    import h5py

    table = keyed(path, layers)
    for layer in layers:
        if layer.arrays and not _is_path(layer.name):
            raise WeightsError(f"{path}: HDF5 cannot hold a layer named '{layer.name}'; rename it")
    with replacing(path) as temporary, h5py.File(temporary, "w", libver=("earliest", "v110")) as file:
        data = file.create_group(_DATA)
        for key, array in table.items():
            if key in data or _inside_dataset(data, key):
                raise WeightsError(f"{path}: in HDF5 '{key}' would be a blob and a layer; rename the layer")
            data.create_dataset(key, data=array)
        file.create_dataset(HEADER_KEY, data=header(name, layers), dtype=h5py.string_dtype())


def read_hdf5(path: Path) -> tuple[str, list[LayerArrays]]:
    """Returns the net's name and its layers, of our files and of Caffe's.

    Raises:
        WeightsError: The file is damaged, or holds something else than weights.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            data = file.get(_DATA)
            if not isinstance(data, h5py.Group):
                raise WeightsError(
                    f"{path}: has no group '{_DATA}'; expected the HDF5 snapshot of a Caffe net"
                )
            found = _datasets(path, data, "", set())
            table = {key: _values(path, key, dataset) for key, dataset in found}
            return from_table(path, table, _header(path, file))
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"{path}: cannot be read as HDF5: {error}; get it again") from None


def caffe_cannot_find(layers: Sequence[LayerArrays]) -> list[str]:
    """Returns the layers that Caffe would not find in HDF5, because of the '/' in their names."""
    return [layer.name for layer in layers if layer.arrays and "/" in layer.name]


def _datasets(path: Path, group: Any, before: str, seen: set[Any]) -> Iterator[tuple[str, Any]]:
    """Yields all datasets of a group with their paths; only what really lies in this file, and once."""
    import h5py

    place = h5py.h5o.get_info(group.id).addr
    if place in seen:
        raise WeightsError(f"{path}: group '{before}' is there twice; expected {_DATA}/<layer>/<blob>")
    seen.add(place)
    for name in group:
        key = before + name
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise WeightsError(f"{path}: '{key}' is a link to somewhere else; expected the values themselves")
        item = group[name]
        if isinstance(item, h5py.Dataset):
            yield key, item
        else:
            yield from _datasets(path, item, f"{key}/", seen)


def _values(path: Path, key: str, dataset: Any) -> Array:
    if dataset.is_virtual or dataset.external:
        raise WeightsError(f"{path}: '{key}' has its values in another file; expected them in this one")
    check_size(path, key, dataset.nbytes, dataset.id.get_storage_size())
    return as_float32(path, key, dataset[()] if dataset.shape else dataset[...])


def _header(path: Path, file: Any) -> str | None:
    if HEADER_KEY not in file:
        return None
    found = file[HEADER_KEY][()]
    if not isinstance(found, bytes):
        raise WeightsError(
            f"{path}: '{HEADER_KEY}' is not the text that it should be; convert the file again"
        )
    return found.decode()


def _is_path(name: str) -> bool:
    return "\0" not in name and all(part not in ("", ".") for part in name.split("/"))


def _inside_dataset(data: Any, key: str) -> bool:
    import h5py

    parts = key.split("/")[:-1]
    return any(isinstance(data.get("/".join(parts[:end])), h5py.Dataset) for end in range(1, len(parts) + 1))
