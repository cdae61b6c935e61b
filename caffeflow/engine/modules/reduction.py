"""Reduction on PyTorch."""

from __future__ import annotations

from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.params import canonical_axis
from caffeflow.layers.reduction import ReductionParams


@module("Reduction")
class Reduction(LayerModule):
    """All that follows an axis as one number."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: ReductionParams = setup.params
        self.axis = canonical_axis(self.params.axis, len(setup.bottoms[0]))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the reduced top."""
        rows = x.flatten(self.axis)
        if self.params.operation == "MEAN":
            return rows.mean(-1) * self.params.coeff
        if self.params.operation == "ASUM":
            rows = rows.abs()
        elif self.params.operation == "SUMSQ":
            rows = rows.square()
        return rows.sum(-1) * self.params.coeff
