"""Arrays to and from Caffe's messages: Datum, BlobProto, BlobProtoVector.

The rule to know: arrays that come out of a BlobProto are float64, as pycaffe's are; out of a Datum they
are uint8 where it holds bytes, else float64.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffeflow.proto.caffe_pb2 import BlobProto, BlobProtoVector, Datum

_LEGACY_SHAPE = ("num", "channels", "height", "width")


def blobproto_to_array(blob: BlobProto, return_diff: bool = False) -> NDArray[np.float64]:
    """Returns the values of a blob, or its gradient.

    Raises:
        ValueError: There are not as many values as the shape says.
    """
    values = (blob.diff or blob.double_diff) if return_diff else (blob.data or blob.double_data)
    if any(blob.HasField(name) for name in _LEGACY_SHAPE):
        shape = tuple(getattr(blob, name) for name in _LEGACY_SHAPE)
    else:
        shape = tuple(blob.shape.dim)
    return np.array(values, np.float64).reshape(shape)


def array_to_blobproto(arr: NDArray[Any], diff: NDArray[Any] | None = None) -> BlobProto:
    """Returns an array as a blob, of its own shape; the gradient, if given, is to have the same one."""
    blob = BlobProto()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(_floats(arr))
    if diff is not None:
        blob.diff.extend(_floats(diff))
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[NDArray[Any]]) -> bytes:
    """Returns arrays as the bytes of a BlobProtoVector."""
    return BlobProtoVector(blobs=[array_to_blobproto(array) for array in arraylist]).SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[NDArray[np.float64]]:
    """Returns the arrays in the bytes of a BlobProtoVector."""
    return [blobproto_to_array(blob) for blob in BlobProtoVector.FromString(str).blobs]


def array_to_datum(arr: NDArray[Any], label: int | None = None) -> Datum:
    """Returns planes (C, H, W) as a Datum: uint8 as bytes, all else as floats.

    Raises:
        ValueError: The array has not three axes.
    """
    if arr.ndim != 3:
        raise ValueError(f"a Datum holds planes (C, H, W); this array has the shape {arr.shape}")
    channels, height, width = arr.shape
    datum = Datum(channels=channels, height=height, width=width)
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(_floats(arr))
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum: Datum) -> NDArray[Any]:
    """Returns the planes (C, H, W) of a Datum; its label is in `datum.label`.

    Raises:
        ValueError: It holds an image file, or not as many values as it says.
    """
    if datum.encoded:
        raise ValueError("the Datum holds an encoded picture (encoded: true), whose bytes are no planes")
    shape = (datum.channels, datum.height, datum.width)
    if datum.data:
        return np.frombuffer(datum.data, np.uint8).reshape(shape).copy()
    return np.array(datum.float_data, np.float64).reshape(shape)


def _floats(array: NDArray[Any]) -> list[float]:
    values: list[float] = array.astype(np.float64).ravel().tolist()
    return values
