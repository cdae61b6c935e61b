"""Reading HDF5 files of anybody's: only values that lie in the file itself, and only as many as it can hold.

The one rule to know: whatever is wrong with a file becomes a WeightsError that names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from caffeflow.errors import WeightsError
from caffeflow.proto.binary import Array
from caffeflow.proto.keyed_arrays import as_float32, check_size

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: str | Path) -> bool:
    """Whether a file begins as HDF5 files do; False for one that cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False


@contextmanager
def reading(path: Path) -> Iterator[Any]:
    """Yields the opened file.

    Raises:
        WeightsError: It is damaged, or the body meets something that should not be there.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"{path}: cannot be read as HDF5: {error}; get it again") from None


def find_own(path: Path, group: Any, name: str) -> Any:
    """Returns what has a name in a group, if it really lies in this file; None if nothing has it.

    Raises:
        WeightsError: It is a link.
    """
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise WeightsError(f"{path}: '{name}' is a link to somewhere else; expected the values themselves")
    return group[name]


def lies_here(dataset: Any) -> bool:
    """Whether a dataset's values are in the file itself; HDF5 lets them lie in any other."""
    return not (dataset.is_virtual or dataset.external)


def read_text(path: Path, name: str, dataset: Any) -> str:
    """Returns the one text that a dataset holds.

    Raises:
        WeightsError: It holds something else.
    """
    import h5py

    is_one = isinstance(dataset, h5py.Dataset) and dataset.shape == () and lies_here(dataset)
    # Text of variable length stands elsewhere in the file; where damage points there, the library crashes.
    is_fixed = is_one and dataset.dtype.kind == "S" and dataset.dtype.itemsize <= path.stat().st_size
    if not is_fixed:
        raise WeightsError(
            f"{path}: '{name}' is not text of fixed length; expected that, write the file again"
        )
    return bytes(dataset[()]).split(b"\0")[0].decode()


def datasets(path: Path, group: Any) -> Iterator[tuple[str, Any]]:
    """Yields all datasets of a group with their paths; only what really lies in this file, and once.

    Raises:
        WeightsError: There are links, or a group or dataset is there twice.
    """
    yield from _datasets(path, group, "", set())


def values(path: Path, key: str, dataset: Any) -> Array:
    """Returns a dataset's numbers as Caffe keeps them.

    Raises:
        WeightsError: They lie elsewhere, are no floating-point numbers, or more than the file can hold.
    """
    if not lies_here(dataset):
        raise WeightsError(f"{path}: '{key}' has its values in another file; expected them in this one")
    check_size(path, key, dataset.nbytes, dataset.id.get_storage_size())
    return as_float32(path, key, dataset[()] if dataset.shape else dataset[...])


def _datasets(path: Path, group: Any, before: str, seen: set[Any]) -> Iterator[tuple[str, Any]]:
    import h5py

    _see(path, before, group, seen)
    for name in group:
        key = before + name
        item = find_own(path, group, name)
        if item is None:
            raise WeightsError(f"{path}: '{key}' is listed and not there; get the file again")
        if isinstance(item, h5py.Dataset):
            # A dataset of many names would be read as often, and so fill the memory from a small file.
            _see(path, key, item, seen)
            yield key, item
        else:
            yield from _datasets(path, item, f"{key}/", seen)


def _see(path: Path, key: str, item: Any, seen: set[Any]) -> None:
    import h5py

    place = h5py.h5o.get_info(item.id).addr
    if place in seen:
        raise WeightsError(f"{path}: '{key}' is there twice; expected every blob in one place of its own")
    seen.add(place)
