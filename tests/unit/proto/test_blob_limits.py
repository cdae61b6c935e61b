from __future__ import annotations

import pytest

from caffeflow.proto.blob_limits import MAX_VALUES, find_excess


@pytest.mark.parametrize(
    "shape", [(), (0,), (2, 3, 5, 7), (1,) * 32, (MAX_VALUES,), (0, MAX_VALUES), (2, 2**30 - 1)]
)
def test_what_caffe_takes_is_a_blob(shape: tuple[int, ...]) -> None:
    assert find_excess(shape) is None


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1,) * 33, "has 33 axes; expected at most 32"),
        ((2, -1), "has the shape 2 x -1; expected sizes from 0 on"),
        ((2, 2**30), "has the shape 2 x 1073741824; expected at most 2147483647 values"),
        ((0, 2**31), "has the shape 0 x 2147483648; expected at most 2147483647 values"),
    ],
)
def test_what_caffe_refuses_is_none(shape: tuple[int, ...], words: str) -> None:
    assert find_excess(shape) == words
