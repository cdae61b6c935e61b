"""Dropout on PyTorch; draws from the generator that the net gives it, so that a run can be repeated."""

from __future__ import annotations

import torch
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.dropout import DropoutParams


@module("Dropout")
class Dropout(LayerModule):
    """Zeroes some elements in TRAIN and scales up the others; hands x on in TEST."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: DropoutParams = setup.params
        self.ratio = params.ratio if setup.phase == "TRAIN" else 0.0
        self.generator = setup.generator

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        if not self.ratio:
            return x
        kept = torch.empty_like(x).bernoulli_(1 - self.ratio, generator=self.generator)
        return x * kept.div_(1 - self.ratio)
