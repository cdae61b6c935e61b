"""Datum, BlobProto and BlobProtoVector to and from arrays."""

from __future__ import annotations

import numpy as np
import pytest

from caffeflow.pycaffe import io
from caffeflow.pycaffe.proto import caffe_pb2


def test_bytes_stay_bytes_and_all_else_is_floats() -> None:
    planes = np.arange(30, dtype=np.uint8).reshape(2, 3, 5)
    datum = io.array_to_datum(planes, 7)
    assert (datum.channels, datum.height, datum.width, datum.label) == (2, 3, 5, 7)
    assert datum.data == planes.tobytes()
    assert io.datum_to_array(datum).dtype == np.uint8
    floats = io.array_to_datum(planes.astype(np.int64) - 9)
    assert not floats.data
    assert not floats.HasField("label")
    np.testing.assert_array_equal(io.datum_to_array(floats), planes.astype(float) - 9)


def test_arrays_of_a_datum_can_be_written() -> None:
    array = io.datum_to_array(io.array_to_datum(np.ones((1, 2, 3), np.uint8)))
    array[...] = 5
    assert array.sum() == 30


def test_datum_needs_three_axes_and_planes() -> None:
    with pytest.raises(ValueError, match=r"\(3, 5\)"):
        io.array_to_datum(np.ones((3, 5)))
    with pytest.raises(ValueError, match="encoded"):
        io.datum_to_array(caffe_pb2.Datum(data=b"\xff\xd8\xff", encoded=True))


def test_blobs_of_both_shapes() -> None:
    values = [float(value) for value in range(30)]
    old = caffe_pb2.BlobProto(num=1, channels=2, height=3, width=5, data=values)
    assert io.blobproto_to_array(old).shape == (1, 2, 3, 5)
    new = caffe_pb2.BlobProto(data=values, diff=values[::-1])
    new.shape.dim.extend([5, 6])
    assert io.blobproto_to_array(new).dtype == np.float64
    np.testing.assert_array_equal(
        io.blobproto_to_array(new, return_diff=True), np.reshape(values[::-1], (5, 6))
    )


def test_blob_without_shape_is_one_number() -> None:
    assert io.blobproto_to_array(caffe_pb2.BlobProto(data=[123])) == 123
    with pytest.raises(ValueError, match="reshape"):
        io.blobproto_to_array(caffe_pb2.BlobProto(data=[1, 2]))


def test_doubles_are_read() -> None:
    blob = caffe_pb2.BlobProto(double_data=[0.1, 0.2], shape={"dim": [2]})
    assert io.blobproto_to_array(blob).tolist() == [0.1, 0.2]


def test_vector_of_blobs_goes_there_and_back() -> None:
    arrays = [np.arange(6.0).reshape(2, 3), np.ones((1, 1, 5))]
    back = io.blobprotovector_str_to_arraylist(io.arraylist_to_blobprotovector_str(arrays))
    assert [array.shape for array in back] == [(2, 3), (1, 1, 5)]
    for array, expected in zip(back, arrays, strict=True):
        np.testing.assert_array_equal(array, expected)
