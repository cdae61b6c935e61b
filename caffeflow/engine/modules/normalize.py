"""Normalize on PyTorch; sums of squares are never taken in half precision."""

from __future__ import annotations

import torch
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, at_least_single, module
from caffeflow.layers.normalize import NormalizeParams


@module("Normalize")
class Normalize(LayerModule):
    """x over its length, times the learned factors."""

    scale: Tensor

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: NormalizeParams = setup.params

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        # x: (N, C, rest…), scale: (C,) or ()
        axes = tuple(range(1, x.dim())) if self.params.across_spatial else (1,)
        wide = at_least_single(x)
        squares = wide.square().sum(axes, keepdim=True)
        factor = self.scale.reshape(-1, *(1,) * (x.dim() - 2))
        return (wide * (factor * torch.rsqrt(squares + self.params.eps))).to(x.dtype)
