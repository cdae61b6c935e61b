"""ArgMax on PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, at_least_single, module
from caffeflow.layers.argmax import ArgMaxParams


@module("ArgMax")
class ArgMax(LayerModule):
    """Indices of the largest values, or the values, or both."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: ArgMaxParams = setup.params

    def forward(self, x: Tensor) -> Tensor:
        """Returns the top, which gets no gradient."""
        x = at_least_single(x.detach())
        axis = self.params.axis
        values, indices = self._largest(x.flatten(1) if axis is None else x, 1 if axis is None else axis)
        if axis is not None:
            return values if self.params.values else indices
        top = torch.stack((indices, values), dim=1) if self.params.values else indices.unsqueeze(1)
        return top.reshape(self.spec.shapes(self.params, [tuple(x.shape)])[0])

    def _largest(self, x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        # Caffe: of equal values the larger index comes first (argmax_layer.cpp). A stable sort of the
        # reversed axis keeps just that order.
        values, places = x.flip(axis).sort(dim=axis, descending=True, stable=True)
        indices = x.shape[axis] - 1 - places
        first = slice(0, self.params.top_k)
        rows = (slice(None),) * (axis % x.dim())
        return values[(*rows, first)], indices[(*rows, first)].to(x.dtype)
