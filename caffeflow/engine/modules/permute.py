"""Permute on PyTorch: a view; of a channels_last bottom, order 0 2 3 1 is already in memory's order."""

from __future__ import annotations

from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.permute import PermuteParams


@module("Permute")
class Permute(LayerModule):
    """The bottom with its axes in another order."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: PermuteParams = setup.params
        self.order = params.full_order(len(setup.bottoms[0]))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the top, which shares the bottom's memory."""
        return x.permute(self.order)
