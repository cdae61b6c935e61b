"""Tile on PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.params import canonical_axis
from caffeflow.layers.tile import TileParams


@module("Tile")
class Tile(LayerModule):
    """Copies one after the other along an axis."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: TileParams = setup.params
        self.tiles = params.tiles
        self.axis = canonical_axis(params.axis, len(setup.bottoms[0]))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the tiled top."""
        return torch.cat([x] * self.tiles, self.axis)
