"""Where the blobs of a net lie: its buffers by name, and the learned blobs of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from caffeflow.engine.net import Net
from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.errors import UsageError
from caffeflow.layers.params import dims


class NamedStorage:
    """The buffers of a blob of a net.

    Args:
        executor: Runs the net.
        name: The blob's.
    """

    def __init__(self, executor: StepwiseExecutor, name: str) -> None:
        self._executor: Final = executor
        self._name: Final = name

    def data(self) -> Tensor:
        """Returns the values."""
        return self._executor.data[self._name]

    def diff(self) -> Tensor:
        """Returns the gradient."""
        return self._executor.diff[self._name]

    def resize(self, shape: Sequence[int]) -> None:
        """Takes another shape."""
        self._executor.resize(self._name, shape)


class LearnedStorage:
    """A learned blob of a layer; layers and nets that share it see the same values.

    Args:
        net: The net.
        layer: The layer's number.
        index: The blob's number in it.
    """

    def __init__(self, net: Net, layer: int, index: int) -> None:
        self._net: Final = net
        self._layer: Final = layer
        self._index: Final = index

    def data(self) -> Tensor:
        """Returns the values."""
        return self._tensor.detach()

    def diff(self) -> Tensor:
        """Returns the gradient; zeros where none was computed yet."""
        tensor = self._tensor
        if tensor.grad is None:
            tensor.grad = torch.zeros_like(tensor)
        return tensor.grad

    def resize(self, shape: Sequence[int]) -> None:
        """Refuses another shape: a layer computes with the learned blobs that it has."""
        found = tuple(self._tensor.shape)
        if found != tuple(shape):
            name = self._net.layers[self._layer].name
            raise UsageError(
                f"layer '{name}': its learned blob {self._index} is {dims(found)} and cannot become"
                f" {dims(tuple(shape))}; change the net"
            )

    @property
    def _tensor(self) -> Tensor:
        return self._net.layers[self._layer].tensors[self._index]
