"""Scale and Bias on PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.scale_bias import ScaleParams


class _PerAxes(LayerModule):
    """What both share: where the factor's axes lie in the bottom."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: ScaleParams = setup.params
        axis, factor = params.placed(setup.bottoms)
        self.trailing = len(setup.bottoms[0]) - axis - len(factor)

    def spread(self, factor: Tensor) -> Tensor:
        """Returns a factor with axes of size 1 after its own, so that it broadcasts over the bottom."""
        return factor.reshape(*factor.shape, *(1,) * self.trailing)


@module("Scale")
class Scale(_PerAxes):
    """x times a factor, plus a bias if there is one."""

    scale: Tensor
    bias: Tensor

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """Returns a top of the same shape."""
        factor = self.spread(self.scale if given is None else given)
        if "bias" in self.blob_names:
            return torch.addcmul(self.spread(self.bias), x, factor)
        return x * factor


@module("Bias")
class Bias(_PerAxes):
    """x plus a bias."""

    bias: Tensor

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """Returns a top of the same shape."""
        return x + self.spread(self.bias if given is None else given)
