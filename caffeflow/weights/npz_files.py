"""Weights as numpy's .npz: `numpy.load(path)["conv1/0"]` is the first blob of layer conv1.

The one rule to know: nothing is ever unpickled, and an array's size is checked before it is read.
"""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from caffeflow.errors import WeightsError
from caffeflow.files import replacing
from caffeflow.proto.binary import Array, LayerArrays
from caffeflow.proto.keyed_arrays import HEADER_KEY, as_float32, check_size, from_table, header, keyed

_ENDING: Final = ".npy"

# numpy reads an array's header as a Python literal, by Python's own tokenizer and parser
_DAMAGE: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError, SyntaxError, EOFError, ValueError,
    OverflowError, NotImplementedError, RuntimeError, struct.error, MemoryError,
)  # fmt: skip


def write_npz(path: Path, *, name: str, layers: Sequence[LayerArrays]) -> None:
    """Writes layers; the file is the same for the same layers."""
    table: dict[str, NDArray[Any]] = dict(keyed(path, layers))
    table[HEADER_KEY] = np.array(header(name, layers))
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
        for key, array in table.items():
            # numpy.savez does the same, but would take a layer of the name 'file' for its own argument.
            with archive.open(zipfile.ZipInfo(key + _ENDING), "w", force_zip64=True) as member:
                npy.write_array(member, np.asanyarray(array), allow_pickle=False)


def read_npz(path: Path) -> tuple[str, list[LayerArrays]]:
    """Returns the net's name and its layers.

    Raises:
        WeightsError: The file is damaged, or holds something else than weights.
    """
    table: dict[str, Array] = {}
    header_text = None
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_torch(path, archive)
            for info in archive.infolist():
                key = info.filename.removesuffix(_ENDING)
                values = _read_member(path, archive, info)
                if key == HEADER_KEY and values.dtype.kind == "U":
                    header_text = str(values)
                else:
                    table[key] = as_float32(path, key, values)
    except _DAMAGE as error:
        raise WeightsError(f"{path}: is no readable .npz of arrays: {error}; get it again") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot read: {error.strerror or error}") from error
    return from_table(path, table, header_text)


def _read_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    check_size(path, info.filename, info.file_size, info.compress_size)
    with archive.open(info) as member:
        shape, dtype = _shape_and_type(member)
        claimed = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or claimed > info.file_size:
            raise WeightsError(
                f"{path}: '{info.filename}' is {dtype} of shape {shape} in {info.file_size} bytes; expected"
                " numbers, all of them in the file (objects would have to be unpickled)"
            )
    with archive.open(info) as member:
        values: NDArray[Any] = npy.read_array(member, allow_pickle=False)
        return values


def _shape_and_type(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(member)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(member)
    return shape, dtype


def _refuse_torch(path: Path, archive: zipfile.ZipFile) -> None:
    if any(name.endswith("data.pkl") for name in archive.namelist()):
        raise WeightsError(
            f"{path}: is a file of PyTorch; turn it into a caffemodel with: caffeflow weights import"
        )
