"""Activations on PyTorch; their gradients at the kinks are Caffe's (see `caffeflow.layers.activations`)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.activations import ClipParams, ELUParams, ReLUParams, SwishParams


@module("ReLU")
class ReLU(LayerModule):
    """x where it is positive, `negative_slope` times x elsewhere."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: ReLUParams = setup.params
        self.slope = params.negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        return F.leaky_relu(x, self.slope) if self.slope else F.relu(x)


@module("ReLU6")
class ReLU6(LayerModule):
    """x between 0 and 6; no gradient at either end."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        return F.relu6(x)


class _ClipInPlace(torch.autograd.Function):
    """Clips, and passes every gradient, for Caffe compares the clipped value with the bounds."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        return x.clamp(low, high)

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0], None, None


@module("Clip")
class Clip(LayerModule):
    """x between two bounds; the gradient passes at the bounds, and in place everywhere."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: ClipParams = setup.params

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        if self.params.in_place:
            top: Tensor = _ClipInPlace.apply(  # type: ignore[no-untyped-call]
                x, self.params.low, self.params.high
            )
            return top
        return x.clamp(self.params.low, self.params.high)


@module("PReLU")
class PReLU(LayerModule):
    """x where it is positive, the channel's learned slope times x elsewhere."""

    slope: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        # x: (N, C, rest…), slope: (C,) or ()
        return F.prelu(x, self.slope)


@module("ELU")
class ELU(LayerModule):
    """x where it is positive, alpha * (e^x - 1) elsewhere."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: ELUParams = setup.params
        self.alpha = params.alpha

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        return F.elu(x, self.alpha)


@module("Swish")
class Swish(LayerModule):
    """x * sigmoid(beta * x)."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: SwishParams = setup.params
        self.beta = params.beta

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        return x * torch.sigmoid(self.beta * x)


@module("Sigmoid")
class Sigmoid(LayerModule):
    """1 / (1 + e^-x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        return torch.sigmoid(x)


@module("TanH")
class TanH(LayerModule):
    """The hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        return torch.tanh(x)


@module("BNLL")
class BNLL(LayerModule):
    """log(1 + e^x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        return F.softplus(x, threshold=50)  # beyond it x itself, as Caffe's bound on e^x
