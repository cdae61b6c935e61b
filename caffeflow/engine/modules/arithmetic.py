"""Arithmetic on each element, on PyTorch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.arithmetic import BaseParams, PowerParams, ThresholdParams


@module("AbsVal")
class AbsVal(LayerModule):
    """|x|; the gradient at 0 is 0."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        return x.abs()


@module("Power")
class Power(LayerModule):
    """(shift + scale * x) ^ power."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: PowerParams = setup.params

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        constant = self.params.constant
        if constant is not None:
            return torch.full_like(x, constant)
        base = self.params.shift + self.params.scale * x
        return base if self.params.power == 1 else base.pow(self.params.power)


@module("Exp")
class Exp(LayerModule):
    """base ^ (shift + scale * x)."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: BaseParams = setup.params
        self.inner = params.log_of_base * params.scale
        self.outer = math.exp(params.log_of_base * params.shift)

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        top = torch.exp(self.inner * x)
        return top if self.outer == 1 else top * self.outer


@module("Log")
class Log(LayerModule):
    """The logarithm of shift + scale * x to the base."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: BaseParams = setup.params

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        return torch.log(self.params.shift + self.params.scale * x) / self.params.log_of_base


@module("Threshold")
class Threshold(LayerModule):
    """1 above the threshold, 0 elsewhere."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: ThresholdParams = setup.params
        self.threshold = params.threshold

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        return (x > self.threshold).to(x.dtype)
