"""Eltwise on PyTorch."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.eltwise import EltwiseParams


@module("Eltwise")
class Eltwise(LayerModule):
    """Sum, product or maximum of the bottoms, in their order."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: EltwiseParams = setup.params

    def forward(self, *bottoms: Tensor) -> Tensor:
        """Returns a top of the bottoms' shape."""
        if self.params.operation == "PROD":
            return reduce(torch.mul, bottoms)
        if self.params.operation == "MAX":
            return _maximum(bottoms)
        if not self.params.coeff:
            return reduce(torch.add, bottoms)
        first, *rest = zip(bottoms, self.params.coeff, strict=True)
        total = first[0] * first[1]
        for bottom, coeff in rest:
            total = torch.add(total, bottom, alpha=coeff)
        return total


def _maximum(bottoms: tuple[Tensor, ...]) -> Tensor:
    # Written as choices, so that one bottom gets the whole gradient. Caffe: of equal values the second
    # bottom's wins against the first's, a later one's against none (eltwise_layer.cpp).
    first, second, *rest = bottoms
    largest = torch.where(first > second, first, second)
    for bottom in rest:
        largest = torch.where(bottom > largest, bottom, largest)
    return largest
