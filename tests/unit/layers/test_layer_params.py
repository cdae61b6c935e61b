"""Caffe's rules for kernel, stride and pad; height and width always differ here."""

from __future__ import annotations

import pytest

from caffeflow.errors import NetError
from caffeflow.layers.params import canonical_axis, read_pair, read_per_axis
from caffeflow.proto.caffe_pb2 import ConvolutionParameter, PoolingParameter
from caffeflow.proto.text import parse


def kernel(text):
    param = parse(text, ConvolutionParameter(), source="test")
    return read_per_axis(param, "kernel_size", half="kernel", default=None, least=1)


def pad(text):
    param = parse(text, ConvolutionParameter(), source="test")
    return read_per_axis(param, "pad", half="pad", default=0, least=0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kernel_size: 3", (3, 3)),
        ("kernel_size: 3 kernel_size: 5", (3, 5)),
        ("kernel_h: 3 kernel_w: 5", (3, 5)),
    ],
)
def test_kernels_are_height_then_width(text, expected):
    assert kernel(text).along(2) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, 0)),
        ("pad: 2", (2, 2)),
        ("pad_h: 1 pad_w: 2", (1, 2)),
        ("pad_h: 1", (1, 0)),
        ("pad_w: 2", (0, 2)),
    ],
)
def test_a_missing_half_of_a_convolutions_pad_is_zero(text, expected):
    assert pad(text).along(2) == expected


def test_one_value_goes_for_any_number_of_axes():
    assert kernel("kernel_size: 3").along(3) == (3, 3, 3)
    assert kernel("kernel_size: 3").along(0) == ()
    assert pad("").along(1) == (0,)


@pytest.mark.parametrize(
    ("text", "axes", "words"),
    [
        ("", 2, ["kernel_size", "missing"]),
        ("kernel_size: 3 kernel_size: 5", 3, ["kernel_size", "2 values", "3 spatial axes"]),
        ("kernel_h: 3 kernel_w: 5", 1, ["kernel_h/kernel_w", "1 spatial"]),
        ("kernel_h: 3", 2, ["kernel_h/kernel_w is 0", "at least 1"]),
        ("kernel_size: 0", 2, ["kernel_size is 0"]),
        ("kernel_size: 3 kernel_w: 5", 2, ["kernel_size", "kernel_h/kernel_w"]),
    ],
)
def test_kernels_that_caffe_refuses(text, axes, words):
    with pytest.raises(NetError) as caught:
        kernel(text).along(axes)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("stride: 2", (2, 2)), ("stride_h: 2 stride_w: 3", (2, 3))],
)
def test_poolings_pairs_are_height_then_width(text, expected):
    param = parse(text, PoolingParameter(), source="test")
    assert read_pair(param, "stride", half="stride") == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stride_h: 2", ["stride_h", "without stride_w"]),
        ("stride_w: 2", ["stride_w", "without stride_h"]),
        ("stride: 2 stride_w: 3", ["both stride and stride_w"]),
    ],
)
def test_pooling_wants_both_halves_or_neither(text, words):
    param = parse(text, PoolingParameter(), source="test")
    with pytest.raises(NetError) as caught:
        read_pair(param, "stride", half="stride")
    for word in words:
        assert word in str(caught.value)


def test_axes_count_from_either_end():
    assert [canonical_axis(axis, 3) for axis in (-3, -1, 0, 2)] == [0, 2, 0, 2]
    for axis in (-4, 3):
        with pytest.raises(NetError, match=f"axis is {axis}.*3 axes"):
            canonical_axis(axis, 3)
