"""Crop on PyTorch: a view of the first bottom."""

from __future__ import annotations

from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.crop import CropParams


@module("Crop")
class Crop(LayerModule):
    """The first bottom cut to the size of the second, which gets no gradient."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: CropParams = setup.params

    def forward(self, x: Tensor, measure: Tensor) -> Tensor:
        """Returns the cut."""
        bottoms = [tuple(x.shape), tuple(measure.shape)]
        (top,) = self.spec.shapes(self.params, bottoms)
        begins = self.params.begins(bottoms[0])
        return x[tuple(slice(begin, begin + size) for begin, size in zip(begins, top, strict=True))]
