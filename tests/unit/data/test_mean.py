"""The mean's sum: float32, in order, and the same after it was saved and loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffeflow.data.mean import MeanSum, channel_means
from caffeflow.errors import DataError
from tests.support.oracles import convert_imageset as oracle


def pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.integers(0, 256, (3, 5, 7), np.uint8) for _ in range(count)]


@pytest.mark.parametrize("is_interleaved", [False, True])
@pytest.mark.parametrize("saved_after", [1, 3, 6])
def test_the_sum_is_sequential_in_float32(tmp_path: Path, is_interleaved: bool, saved_after: int) -> None:
    images = pictures(7)
    sums = MeanSum()
    for number, planes in enumerate(images):
        if number == saved_after:
            sums.save(tmp_path / "sums.npy")
            sums = MeanSum.load(tmp_path / "sums.npy")
        if is_interleaved:  # a view of (H, W, C) memory, as decoding gives it
            planes = np.ascontiguousarray(planes.transpose(1, 2, 0)).transpose(2, 0, 1)
        sums.add(planes)
    assert np.array_equal(sums.mean(7), oracle.mean(images))
    assert sums.mean(7).flags.c_contiguous


def test_rounding_beyond_24_bits_is_that_of_float32() -> None:
    sums = MeanSum(np.full((1, 1, 1), 2**24, np.float32))
    for _ in range(3):
        sums.add(np.ones((1, 1, 1), np.uint8))  # 2**24 + 1 is no float32
    assert sums.mean(1)[0, 0, 0] == 2**24


def test_channel_means_are_over_all_pixels() -> None:
    mean = oracle.mean(pictures(5))
    assert channel_means(mean) == pytest.approx([mean[c].mean(dtype=np.float64) for c in range(3)], abs=6e-6)


@pytest.mark.parametrize("content", [b"", b"no array"])
def test_damaged_sums_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sums.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"sums.npy: cannot be read .*--force"):
        MeanSum.load(tmp_path / "sums.npy")
