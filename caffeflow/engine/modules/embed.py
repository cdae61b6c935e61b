"""Embed on PyTorch."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.engine.modules.selection import check_numbers
from caffeflow.layers.embed import EmbedParams


@module("Embed")
class Embed(LayerModule):
    """A learned vector for each value."""

    bias: Tensor
    weight: Tensor

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: EmbedParams = setup.params
        self.layer_name = setup.layer.name

    def forward(self, x: Tensor) -> Tensor:
        """Returns the vectors."""
        # x: (any…) -> (any…, K)
        places = x.to(torch.int64)
        below = self.params.input_dim
        check_numbers(places, below=below, layer=self.layer_name, what=f"its {below} inputs")
        vectors = F.embedding(places, self.weight)
        return vectors + self.bias if self.params.bias_term else vectors
