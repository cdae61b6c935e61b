"""Softmax on PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.softmax import SoftmaxParams


@module("Softmax")
class Softmax(LayerModule):
    """Probabilities along one axis."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: SoftmaxParams = setup.params
        self.axis = params.axis

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        return torch.softmax(x, dim=self.axis)
