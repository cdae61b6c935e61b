"""SPP on PyTorch: the poolings of all levels, flattened and joined."""

from __future__ import annotations

import torch
from torch import Tensor

from caffeflow.engine.modules.pooling import Windows, pool
from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.spp import SPPParams


@module("SPP")
class SPP(LayerModule):
    """A pyramid of poolings."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: SPPParams = setup.params
        self.generator = setup.generator
        self.draws = setup.is_training

    def forward(self, x: Tensor) -> Tensor:
        """Returns the values of all levels, coarse to fine."""
        # x: (N, C, H, W) -> (N, C * windows)
        tops = [
            pool(level, x, Windows.over(level, x.shape), draws=self.draws, generator=self.generator)[0]
            for level in self.params.levels(tuple(x.shape))
        ]
        return tops[0] if len(tops) == 1 else torch.cat([top.flatten(1) for top in tops], 1)
