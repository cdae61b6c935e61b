"""LRN on PyTorch.

Across channels torch's own function goes through a three-dimensional pooling and is slow; here the window's
sum is a few shifted additions, and the gradient is Caffe's formula, which needs the same sum once more.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor
from torch.autograd.function import once_differentiable

from caffeflow.engine.modules.registry import LayerModule, Setup, at_least_single, module
from caffeflow.layers.lrn import LRNParams


def window_sum(x: Tensor, size: int) -> Tensor:
    """Returns for each channel the sum over it and the (size - 1) / 2 channels on either side."""
    # x: (N, C, H, W) -> (N, C, H, W)
    channels = x.shape[1]
    total = x.clone()
    for shift in range(1, min(size // 2, channels - 1) + 1):
        total[:, shift:] += x[:, :-shift]
        total[:, :-shift] += x[:, shift:]
    return total


class _AcrossChannels(torch.autograd.Function):
    """y = x * s^-beta with s = k + alpha / size * (sum of x^2 over the window of channels)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, params: LRNParams) -> Tensor:
        scale = window_sum(x.square(), params.size).mul_(params.alpha / params.size).add_(params.k)
        factor = scale.pow(-params.beta)
        ctx.params = params
        ctx.save_for_backward(x, scale, factor)
        return x * factor

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        x, scale, factor = ctx.saved_tensors
        params: LRNParams = ctx.params
        direct = grads[0] * factor
        shared = window_sum(direct * x / scale, params.size)
        return direct.addcmul_(x, shared, value=-2 * params.alpha * params.beta / params.size), None


@module("LRN")
class LRN(LayerModule):
    """Divides by a power of the squares around, across channels or within one."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: LRNParams = setup.params

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        exact = at_least_single(x)
        top = self._within(exact) if self.params.within else self._across(exact)
        return top.to(x.dtype)

    def _across(self, x: Tensor) -> Tensor:
        top: Tensor = _AcrossChannels.apply(x, self.params)  # type: ignore[no-untyped-call]
        return top

    def _within(self, x: Tensor) -> Tensor:
        size, alpha, beta = self.params.size, self.params.alpha, self.params.beta
        mean = F.avg_pool2d(x.square(), size, stride=1, padding=size // 2)
        return x * (1 + alpha * mean).pow(-beta)
