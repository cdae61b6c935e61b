"""A blob as its user sees it: two numpy arrays that can be written in place.

The one rule to know: an array is a window onto the tensor that the engine computes with, so whatever is
written through it counts. It stays good, and alive, as long as the blob keeps its shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caffeflow.errors import UsageError

Floats = NDArray[np.float32]

_LEGACY_AXES: Final = 4


class Storage(Protocol):
    """Where a blob's values and gradient lie."""

    def data(self) -> Tensor:
        """Returns the values."""
        ...

    def diff(self) -> Tensor:
        """Returns the gradient, in the same shape."""
        ...

    def resize(self, shape: Sequence[int]) -> None:
        """Gives both another shape."""
        ...


class Blob:
    """The values and the gradient under one name, or of one learned blob.

    Args:
        storage: Where they lie.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def move(self, storage: Storage) -> None:
        """Lets the blob's values lie elsewhere from now on."""
        self._storage = storage

    @property
    def data(self) -> Floats:
        """The values; writing into them counts."""
        return self._storage.data().numpy()

    @property
    def diff(self) -> Floats:
        """The gradient of the loss by the values; writing into it counts."""
        return self._storage.diff().numpy()

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(self._storage.data().shape)

    @property
    def count(self) -> int:
        """How many values there are."""
        return math.prod(self.shape)

    @property
    def num(self) -> int:
        """The length of the first of at most four axes."""
        return self._legacy(0)

    @property
    def channels(self) -> int:
        """The length of the second of at most four axes; 1 where there is none."""
        return self._legacy(1)

    @property
    def height(self) -> int:
        """The length of the third of at most four axes; 1 where there is none."""
        return self._legacy(2)

    @property
    def width(self) -> int:
        """The length of the last of four axes; 1 where there is none."""
        return self._legacy(3)

    def reshape(self, *shape: int) -> None:
        """Gives the blob another shape; arrays taken before go on with the old one."""
        self._storage.resize([int(length) for length in shape])

    def _legacy(self, axis: int) -> int:
        shape = self.shape
        if len(shape) > _LEGACY_AXES:
            raise UsageError(f"a blob of {len(shape)} axes has no num, channels, height, width; use shape")
        return shape[axis] if axis < len(shape) else 1


class BlobList(list[Blob]):
    """The learned blobs of a layer; a Python layer's `setup` adds its own."""

    def add_blob(self, *shape: int, **settings: Any) -> None:
        """Adds a blob of zeros."""
        if settings:
            raise UsageError(
                f"add_blob was given {', '.join(settings)}; expected the lengths of the axes only"
            )
        self.append(Blob(OwnStorage(shape)))


class OwnStorage:
    """Two tensors that belong to the blob alone."""

    def __init__(self, shape: Sequence[int] = ()) -> None:
        self._data = torch.zeros(tuple(shape))
        self._diff = torch.zeros(tuple(shape))

    def data(self) -> Tensor:
        """Returns the values."""
        return self._data

    def diff(self) -> Tensor:
        """Returns the gradient."""
        return self._diff

    def resize(self, shape: Sequence[int]) -> None:
        """Takes another shape; the values stay where it holds as many."""
        wanted = tuple(shape)
        if self._data.numel() == math.prod(wanted):
            self._data, self._diff = self._data.view(wanted), self._diff.view(wanted)
        else:
            self._data, self._diff = torch.zeros(wanted), torch.zeros(wanted)

    def hold(self, data: Tensor, diff: Tensor | None = None) -> None:
        """Takes copies of values and gradient; without one the gradient becomes zero."""
        self.resize(data.shape)
        self._data.copy_(data)
        if diff is None:
            self._diff.zero_()
        else:
            self._diff.copy_(diff)
