"""InnerProduct on PyTorch."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.inner_product import InnerProductParams
from caffeflow.layers.params import canonical_axis


@module("InnerProduct")
class InnerProduct(LayerModule):
    """A matrix product over all that follows the axis."""

    bias: Tensor
    weight: Tensor

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: InnerProductParams = setup.params
        self.axis = canonical_axis(params.axis, len(setup.bottoms[0]))
        self.transpose = params.transpose

    def forward(self, x: Tensor) -> Tensor:
        """Returns the weighted sums."""
        # x: (batch…, rest…) -> (batch…, K)
        rows = x.flatten(self.axis)
        weight = self.weight.t() if self.transpose else self.weight
        return F.linear(rows, weight, self.bias if "bias" in self.blob_names else None)
