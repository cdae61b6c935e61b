"""Files of weights in four formats: one function to read any of them, one to write any of them.

A file is read as what its first bytes say, and written as what its name's ending says. The one rule to
know: a file converted to another format and back holds the same layers, bit for bit. Not kept, because
`LayerArrays` does not hold it: gradients, and a caffemodel's copy of each layer's settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from caffeflow.errors import UsageError, WeightsError
from caffeflow.proto.binary import LayerArrays, read_named_caffemodel, write_caffemodel
from caffeflow.proto.hdf5_weights import Shared, read_hdf5, write_hdf5
from caffeflow.weights.npz_files import read_npz, write_npz
from caffeflow.weights.safetensors_files import read_safetensors, write_safetensors

Reader = Callable[[Path], tuple[str, list[LayerArrays]]]


class Writer(Protocol):
    """A format's function that writes."""

    def __call__(self, path: Path, /, *, name: str, layers: Sequence[LayerArrays]) -> None:
        """Writes layers into a file, as the net `name`."""


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """What a file of weights holds.

    Attributes:
        name: The net's name; empty if the file does not say.
        layers: The layers in file order.
    """

    name: str
    layers: tuple[LayerArrays, ...]


_WRITERS: Final[dict[str, Writer]] = {
    ".caffemodel": write_caffemodel,
    ".h5": write_hdf5,
    ".npz": write_npz,
    ".safetensors": write_safetensors,
}

ENDINGS: Final = tuple(_WRITERS)
"""What the names of files of weights end in; Caffe's HDF5 is `.caffemodel.h5`, any `.h5` will do."""


def read_weights(path: str | Path, *, shared: Shared | None = None) -> list[LayerArrays]:
    """Returns the layers of a file of weights of any format, in file order.

    Args:
        path: The file.
        shared: The blobs that layers of the net share, where the net is known: Caffe leaves them out of
            its HDF5 files.

    Raises:
        WeightsError: The file is missing, damaged, or no file of weights.
    """
    return list(read_weights_file(path, shared=shared).layers)


def read_weights_file(path: str | Path, *, shared: Shared | None = None) -> WeightsFile:
    """Returns the layers of a file of weights of any format, and the net's name; see `read_weights`.

    Raises:
        WeightsError: The file is missing, damaged, or no file of weights.
    """
    name, layers = _reader(Path(path), shared)(Path(path))
    if not layers:
        raise WeightsError(f"{path}: holds no layer; expected weights")
    return WeightsFile(name=name, layers=tuple(layers))


def write_weights(path: str | Path, *, name: str, layers: Sequence[LayerArrays]) -> None:
    """Writes layers in the format that the file's name ends in.

    Args:
        path: The file; its folder must exist.
        name: The net's.
        layers: What to write.

    Raises:
        UsageError: The ending says no format.
        WeightsError: The format cannot hold the layers' names.
        DataError: The file cannot be written.
    """
    _WRITERS[ending_of(path)](Path(path), name=name, layers=layers)


def ending_of(path: str | Path) -> str:
    """Returns the ending that says the format.

    Raises:
        UsageError: The ending says no format.
    """
    ending = Path(path).suffix.lower()
    if ending not in _WRITERS:
        raise UsageError(f"{path}: ends in '{ending}'; expected {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    return ending


def _reader(path: Path, shared: Shared | None) -> Reader:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise WeightsError(f"{path}: cannot read the weights: {error.strerror}") from error
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return partial(read_hdf5, shared=shared)
    if head.startswith(b"PK\x03\x04"):
        return read_npz
    # A safetensors file begins with the length of its JSON.
    if path.suffix.lower() == ".safetensors" or head[8:9] == b"{":
        return read_safetensors
    return read_named_caffemodel
