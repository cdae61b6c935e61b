"""Layers as a flat table of arrays, for formats that know nothing of layers: the key is `layer/blob index`.

What such a table cannot hold (the net's name, types, bottoms, tops, the order, layers without blobs)
stands in a header of JSON beside the arrays. The one rule to know: with a header the way back gives
exactly what went in; without one, as in other tools' files, types are empty, and bottoms and tops too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.errors import WeightsError
from caffeflow.proto.binary import Array, LayerArrays

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,8}")

HEADER_KEY: Final = "caffeflow"
"""Under which name the header stands; no blob's key, since those end in a number."""

LARGEST_RATIO: Final = 1100
"""No packing makes files smaller than this share; what claims more values than that is not a file of ours."""


def keyed(path: Path, layers: Sequence[LayerArrays]) -> dict[str, Array]:
    """Returns all blobs by key, in order.

    Raises:
        WeightsError: Two layers with blobs have one name.
    """
    keys = keys_of(path, [(layer.name, len(layer.arrays)) for layer in layers])
    arrays = [array for layer in layers for array in layer.arrays]
    return dict(zip(keys, arrays, strict=True))


def keys_of(where: str | Path, counts: Iterable[tuple[str, int]]) -> list[str]:
    """Returns the keys of all blobs, in order.

    Args:
        where: The file, for messages.
        counts: Name and number of blobs of each layer.

    Raises:
        WeightsError: Two layers with blobs have one name.
    """
    keys: dict[str, None] = {}
    for name, count in counts:
        for index in range(count):
            key = f"{name}/{index}"
            if key in keys:
                raise WeightsError(
                    f"{where}: two layers are named '{name}', which only a .caffemodel can hold; rename one"
                )
            keys[key] = None
    return list(keys)


def header(name: str, layers: Sequence[LayerArrays]) -> str:
    """Returns what stands beside the blobs."""
    facts = [
        {
            "name": layer.name,
            "type": layer.type,
            "bottoms": layer.bottoms,
            "tops": layer.tops,
            "blobs": len(layer.arrays),
        }
        for layer in layers
    ]
    return json.dumps({"name": name, "layers": facts}, ensure_ascii=False)


def from_table(
    path: Path, table: Mapping[str, Array], header_text: str | None
) -> tuple[str, list[LayerArrays]]:
    """Returns the net's name and its layers.

    Args:
        path: The file, for messages.
        table: Blobs by key.
        header_text: The header, if the file has one.

    Raises:
        WeightsError: Keys that are no blobs' or that leave blobs out, or a header of something else.
    """
    groups = _grouped(path, table)
    if header_text is None:
        return "", [LayerArrays(name, "", (), (), arrays) for name, arrays in groups.items()]
    try:
        facts = json.loads(header_text)
        layers = [_layer(each, groups) for each in facts["layers"]]
        name = str(facts["name"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise WeightsError(
            f"{path}: its header '{HEADER_KEY}' does not fit its arrays ({error}); convert the file again"
        ) from None
    left = groups.keys() - {layer.name for layer in layers}
    if left:
        raise WeightsError(
            f"{path}: has arrays of layer '{min(left)}', which its header '{HEADER_KEY}' does not list;"
            " remove the header if the file was changed by hand"
        )
    return name, layers


def as_float32(path: Path, key: str, values: NDArray[Any]) -> Array:
    """Returns values as Caffe keeps them.

    Raises:
        WeightsError: They are no floating-point numbers.
    """
    if values.dtype.kind != "f" or values.dtype.itemsize > 8:
        raise WeightsError(
            f"{path}: '{key}' holds {values.dtype}; expected float32 (or float16, float64), as weights are"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large is infinite, as in Caffe
        return values.astype(np.float32, copy=False)


def check_size(path: Path, key: str, claimed_bytes: int, stored_bytes: int) -> None:
    """Raises WeightsError where a file claims more values than it can hold."""
    if claimed_bytes > LARGEST_RATIO * max(stored_bytes, 64):
        raise WeightsError(
            f"{path}: '{key}' claims {claimed_bytes} bytes of values, the file has {stored_bytes}; it is"
            " damaged, get it again"
        )


def _grouped(path: Path, table: Mapping[str, Array]) -> dict[str, tuple[Array, ...]]:
    found: dict[str, dict[int, Array]] = {}
    for key, array in table.items():
        layer, slash, index = key.rpartition("/")
        if not slash or not _NUMBER.fullmatch(index):
            raise WeightsError(
                f"{path}: '{key}' is no blob of a layer; expected keys such as 'conv1/0' (weight) and"
                " 'conv1/1' (bias); files of PyTorch go through: caffeflow weights import"
            )
        found.setdefault(layer, {})[int(index)] = array
    for layer, blobs in found.items():
        missing = [index for index in range(len(blobs)) if index not in blobs]
        if missing:
            raise WeightsError(
                f"{path}: layer '{layer}' lacks its blob {missing[0]}; Caffe leaves out of HDF5 what a layer"
                " shares with another: take the .caffemodel of the same net"
            )
    return {layer: tuple(blobs[index] for index in range(len(blobs))) for layer, blobs in found.items()}


def _layer(facts: Mapping[str, Any], groups: Mapping[str, tuple[Array, ...]]) -> LayerArrays:
    name, count = str(facts["name"]), int(facts["blobs"])
    arrays = groups[name] if count else ()
    if len(arrays) != count:
        raise ValueError(f"layer '{name}' has {len(arrays)} blobs, not {count}")
    bottoms, tops = (tuple(str(each) for each in facts[field]) for field in ("bottoms", "tops"))
    return LayerArrays(name, str(facts["type"]), bottoms, tops, arrays)
