"""Flatten and Reshape on PyTorch: views, or copies where the memory's order demands it."""

from __future__ import annotations

from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module


@module("Flatten", "Reshape")
class Reshape(LayerModule):
    """The same values under the shape that the spec gives for the batch at hand."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params = setup.params

    def forward(self, x: Tensor) -> Tensor:
        """Returns the reshaped top."""
        return x.reshape(self.spec.shapes(self.params, [tuple(x.shape)])[0])
