"""Activations on PyTorch; their gradients at the kinks are Caffe's (see `caffeflow.layers.activations`)."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.activations import ReLUParams


@module("ReLU")
class ReLU(LayerModule):
    """x where it is positive, `negative_slope` times x elsewhere."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: ReLUParams = setup.params
        self.slope = params.negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        return F.leaky_relu(x, self.slope) if self.slope else F.relu(x)
