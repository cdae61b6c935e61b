"""Caffe's binary files: .caffemodel, .solverstate and .binaryproto, as numpy arrays.

Weights are read with the small schema of weights.proto. Every file is written whole or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from caffeflow.errors import WeightsError
from caffeflow.files import write_atomically
from caffeflow.proto import caffe_pb2, weights_pb2
from caffeflow.proto.blob_limits import find_excess
from caffeflow.proto.legacy import V1_TYPES
from caffeflow.stand_ins import stand_in

Array = NDArray[np.float32]
M = TypeVar("M", bound=Message)

_V1_NAMES: Final = {
    caffe_pb2.V1LayerParameter.LayerType.Value(name): type_ for name, type_ in V1_TYPES.items()
}

# how files that are no protobuf begin, and what to tell the user
_IMPOSTORS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89HDF\r\n", "an HDF5 file; expected Caffe's binary protobuf form"),
    (b"PK\x03\x04", "a zip archive (perhaps a PyTorch file); expected Caffe's binary protobuf form"),
    (b"\x1f\x8b", "gzip-compressed; unpack it first"),
)

# NVCaffe's BlobProto.raw_data_type, as numpy calls it
_RAW_TYPES: Final = {0: "<f8", 1: "<f4", 2: "<f2"}


@dataclass(frozen=True)
class LayerArrays:
    """The learned blobs of one layer, with the facts a caffemodel keeps beside them."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    arrays: tuple[Array, ...]


@dataclass(frozen=True)
class SolverStateArrays:
    """A .solverstate: updates done, the model's file name, the step counter and the history.

    Attributes:
        minimum_loss: With the iteration `last_event`, what the policy `plateau` of the SSD fork
            watches; None in files of other policies.
    """

    iteration: int
    learned_net: str
    current_step: int
    history: tuple[Array, ...]
    minimum_loss: float | None = None
    last_event: int = 0


def read_caffemodel(path: str | Path) -> list[LayerArrays]:
    """Returns the layers of a caffemodel of any of the three formats, in file order.

    Layers without blobs are included, as Caffe reports them too.

    Raises:
        WeightsError: The file is missing, truncated, empty or something else than a caffemodel.
    """
    return read_named_caffemodel(path)[1]


def read_named_caffemodel(path: str | Path) -> tuple[str, list[LayerArrays]]:
    """Returns the name of the net that a caffemodel was saved from, and the layers.

    Raises:
        WeightsError: As `read_caffemodel`.
    """
    net = _read(Path(path), weights_pb2.NetWeights(), kind="caffemodel")
    layers = [_layer(path, layer.name, layer.type, layer) for layer in net.layer]
    layers += [_v1_layer(path, layer) for layer in net.layers]
    if not layers:
        raise WeightsError(f"{path}: holds no layer; expected a caffemodel")
    return net.name, layers


def write_caffemodel(path: str | Path, *, name: str, layers: Iterable[LayerArrays]) -> None:
    """Writes a caffemodel in the current format."""
    net = weights_pb2.NetWeights(name=name)
    for layer in layers:
        entry = net.layer.add(name=layer.name, type=layer.type, bottom=layer.bottoms, top=layer.tops)
        entry.blobs.extend(_blob(array) for array in layer.arrays)
    write_atomically(Path(path), net.SerializeToString())


def read_solverstate(path: str | Path) -> SolverStateArrays:
    """Returns the contents of a .solverstate.

    Raises:
        WeightsError: The file is missing, truncated or something else.
    """
    state = _read(Path(path), weights_pb2.SolverStateBlobs(), kind="solverstate")
    if not state.HasField("iter"):
        raise WeightsError(f"{path}: holds no iteration; expected a solverstate")
    return SolverStateArrays(
        iteration=state.iter,
        learned_net=state.learned_net,
        current_step=state.current_step,
        history=tuple(_array(path, "history", blob) for blob in state.history),
        minimum_loss=state.minimum_loss if state.HasField("minimum_loss") else None,
        last_event=state.iter_last_event,
    )


def write_solverstate(path: str | Path, state: SolverStateArrays) -> None:
    """Writes a .solverstate."""
    message = weights_pb2.SolverStateBlobs(
        iter=state.iteration, learned_net=state.learned_net, current_step=state.current_step
    )
    if state.minimum_loss is not None:
        message.minimum_loss, message.iter_last_event = state.minimum_loss, state.last_event
    message.history.extend(_blob(array) for array in state.history)
    write_atomically(Path(path), message.SerializeToString())


def read_binaryproto(path: str | Path) -> Array:
    """Returns the one blob of a .binaryproto; a mean made by Caffe's tool has the shape (1, C, H, W).

    Raises:
        WeightsError: The file is missing, truncated or something else.
    """
    return _array(path, "blob", _read(Path(path), weights_pb2.BlobProto(), kind="binaryproto"))


def write_mean(path: str | Path, mean: Array) -> None:
    """Writes an image mean (C, H, W) in the legacy form of `compute_image_mean`."""
    channels, height, width = mean.shape
    blob = weights_pb2.BlobProto(num=1, channels=channels, height=height, width=width)
    blob.data.append(_little_endian(mean))
    write_atomically(Path(path), blob.SerializeToString())


def blob_to_array(blob: caffe_pb2.BlobProto) -> Array:
    """Returns the values of a BlobProto, such as the blobs written in a prototxt, with their shape."""
    packed = weights_pb2.BlobProto.FromString(blob.SerializeToString())
    return _array("blob", "blob", packed)


def array_to_blob(array: Array) -> caffe_pb2.BlobProto:
    """Returns an array as a BlobProto of the current form."""
    return caffe_pb2.BlobProto.FromString(_blob(array).SerializeToString())


def _read(path: Path, message: M, *, kind: str) -> M:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot read the {kind}: {error.strerror}") from error
    if not content:
        raise WeightsError(f"{path}: is empty; expected a {kind}")
    truth = stand_in(content[:8192])
    if truth:
        raise WeightsError(
            f"{path}: is {truth}, not the file itself; get it again (a pointer's: git lfs pull)"
        )
    for beginning, what in _IMPOSTORS:
        if content.startswith(beginning):
            raise WeightsError(f"{path}: is {what}")
    try:
        message.ParseFromString(content)
    except DecodeError:
        raise WeightsError(
            f"{path}: is truncated or no {kind} ({len(content)} bytes); copy or download it again"
        ) from None
    return message


def _v1_layer(path: str | Path, layer: weights_pb2.V1LayerWeights) -> LayerArrays:
    if layer.HasField("layer"):
        v0 = layer.layer
        named = weights_pb2.LayerWeights(bottom=layer.bottom, top=layer.top, blobs=v0.blobs)
        return _layer(path, v0.name, v0.type, named)
    return _layer(path, layer.name, _V1_NAMES.get(layer.type, ""), layer)


def _layer(
    path: str | Path, name: str, type_: str, layer: weights_pb2.LayerWeights | weights_pb2.V1LayerWeights
) -> LayerArrays:
    arrays = tuple(_array(path, f"layer '{name}'", blob) for blob in layer.blobs)
    return LayerArrays(
        name=name, type=type_, bottoms=tuple(layer.bottom), tops=tuple(layer.top), arrays=arrays
    )


def _shape(blob: weights_pb2.BlobProto) -> tuple[int, ...]:
    # Caffe: any legacy dimension makes it a legacy blob, the unset ones being 0 (blob.cpp FromProto).
    legacy = ("num", "channels", "height", "width")
    if any(blob.HasField(name) for name in legacy):
        return tuple(getattr(blob, name) for name in legacy)
    return tuple(blob.shape.dim)


def _array(path: str | Path, owner: str, blob: weights_pb2.BlobProto) -> Array:
    shape = _shape(blob)
    excess = find_excess(shape)
    if excess:
        raise WeightsError(f"{path}: {owner}: a blob {excess}; the file is damaged, get it again")
    if blob.double_data:
        values: NDArray[Any] = _packed_values(path, owner, blob.double_data, "<f8")
    elif blob.data:
        values = _packed_values(path, owner, blob.data, "<f4")
    elif blob.raw_data:
        values = _raw_values(path, owner, blob)
    else:
        # Very old writers did not pack; protobuf itself reads those, a float at a time.
        unpacked = caffe_pb2.BlobProto.FromString(blob.SerializeToString())
        values = np.array(unpacked.double_data or unpacked.data, np.float32)
    if values.size != math.prod(shape):
        raise WeightsError(
            f"{path}: {owner}: a blob of shape {' '.join(map(str, shape))} ({math.prod(shape)}) holds"
            f" {values.size} values"
        )
    return as_single(values).reshape(shape)


def as_single(values: NDArray[Any]) -> Array:
    """Returns a copy in single precision; what is too large for it is infinite, as in Caffe."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.array(values, dtype=np.float32)


def _packed_values(path: str | Path, owner: str, parts: Iterable[bytes], kind: str) -> NDArray[Any]:
    content = b"".join(parts)
    itemsize = np.dtype(kind).itemsize
    if len(content) % itemsize:
        raise WeightsError(
            f"{path}: {owner}: a blob has {len(content)} bytes of values; expected a multiple of {itemsize};"
            " the file is damaged, get it again"
        )
    return np.frombuffer(content, kind)


def _raw_values(path: str | Path, owner: str, blob: weights_pb2.BlobProto) -> NDArray[Any]:
    kind = _RAW_TYPES.get(blob.raw_data_type)
    if kind is None or len(blob.raw_data) % np.dtype(kind).itemsize:
        raise WeightsError(
            f"{path}: {owner}: a blob of NVCaffe's raw type {blob.raw_data_type} in {len(blob.raw_data)}"
            f" bytes; expected whole values of type {' or '.join(map(str, _RAW_TYPES))} (double, float, half)"
        )
    return np.frombuffer(blob.raw_data, kind)


def _blob(array: Array) -> weights_pb2.BlobProto:
    blob = weights_pb2.BlobProto()
    blob.data.append(_little_endian(array))
    blob.shape.dim.extend(array.shape)
    return blob


def _little_endian(array: Array) -> bytes:
    return np.ascontiguousarray(array, dtype="<f4").tobytes()


def count_values(layers: Sequence[LayerArrays]) -> int:
    """Returns how many learned values the layers hold."""
    return sum(array.size for layer in layers for array in layer.arrays)
