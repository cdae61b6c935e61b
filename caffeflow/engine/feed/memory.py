"""MemoryData: batches of arrays that a program gives, one after the other and around the end."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from caffeflow.engine.feed.protocol import Position
from caffeflow.engine.feed.settings import Floats
from caffeflow.errors import DataError
from caffeflow.layers.params import dims
from caffeflow.layers.spec import Shape


class MemoryFeed:
    """Hands out what it was given.

    Args:
        layer: The layer's name, for messages.
        shape: A batch, (N, C, H, W).
    """

    def __init__(self, layer: str, shape: Shape) -> None:
        self._layer = layer
        self._shape = shape
        self._at = 0
        self._given: tuple[Floats, Floats] | None = None

    def give(self, data: Floats, labels: Floats) -> None:
        """Takes the arrays that batches are cut from, and begins with their first row; copies nothing.

        Args:
            data: (rows, C, H, W), as many rows as some batches have.
            labels: One a row.

        Raises:
            DataError: They do not fit the layer.
        """
        size = self._shape[0]
        if data.ndim != 4 or data.shape[1:] != self._shape[1:]:
            self._refuse(f"data must be rows x {dims(self._shape[1:])}; found {dims(data.shape)}")
        if len(data) < 1 or len(data) % size:
            self._refuse(f"the number of rows must be a multiple of batch_size {size}; found {len(data)}")
        if labels.size != len(data):
            self._refuse(f"there must be a label for each of {len(data)} rows; found {labels.size}")
        self._given = (np.asarray(data, np.float32), np.asarray(labels, np.float32).reshape(-1))
        self._at = 0

    def next(self) -> tuple[Tensor, ...]:
        """Returns the next batch."""
        if self._given is None:
            self._refuse("was given no data; MemoryData has what a program gives it (set_input_arrays)")
        rows = slice(self._at, self._at + self._shape[0])
        self._at = rows.stop % len(self._given[0])
        return tuple(torch.from_numpy(np.ascontiguousarray(array[rows])) for array in self._given)

    def position(self) -> dict[str, int]:
        """Returns the number of the next row."""
        return {"row": self._at}

    def restore(self, position: Position) -> None:
        """Goes on from a position, once the same arrays are given again."""
        self._at = position["row"]

    def close(self) -> None:
        """Lets the arrays go."""
        self._given = None

    def _refuse(self, why: str) -> NoReturn:
        raise DataError(f"layer '{self._layer}': {why}")
