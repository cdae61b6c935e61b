"""The mean image, summed as compute_image_mean does: float32, record after record in key order.

The order and the width of the sum decide its rounding, so both are Caffe's (compute_image_mean.cpp).
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caffeflow.data.folder import replace_file
from caffeflow.errors import DataError
from caffeflow.images import Image

Array = NDArray[np.float32]


class MeanSum:
    """The sum of the records so far, (C, H, W)."""

    def __init__(self, sums: Array | None = None) -> None:
        self._loaded = sums
        self._sums: Array | None = None

    def add(self, planes: Image) -> None:
        """Adds a record; all have one shape."""
        sums = self._lay_out(planes) if self._sums is None else self._sums
        np.add(sums, planes, out=sums)

    def mean(self, count: int) -> Array:
        """Returns the mean over this many records."""
        return self._total() / np.float32(count)

    def save(self, path: Path) -> None:
        """Writes the sum, whole or not at all."""
        content = io.BytesIO()
        np.save(content, self._total())
        replace_file(path, content.getvalue(), by=path.with_suffix(".new"))

    @classmethod
    def load(cls, path: Path) -> MeanSum:
        """Returns the sum that `save` wrote."""
        try:
            return cls(np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path}: cannot be read ({error}); begin anew with --force") from error

    def _total(self) -> Array:
        sums = self._loaded if self._sums is None else self._sums
        assert sums is not None, "asked for before the first record"  # noqa: S101 - an order of calls
        return np.ascontiguousarray(sums)

    def _lay_out(self, planes: Image) -> Array:
        """Brings the sum into the records' order in memory: adding is twice as fast where they agree."""
        self._sums = np.zeros_like(planes, dtype=np.float32)
        if self._loaded is not None:
            self._sums[...] = self._loaded
        return self._sums


def channel_means(mean: Array) -> tuple[float, ...]:
    """Returns the mean of each channel, rounded to what float32 can tell."""
    return tuple(round(float(value), 5) for value in mean.mean(axis=(1, 2), dtype=np.float64))
