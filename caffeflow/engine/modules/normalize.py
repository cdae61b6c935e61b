"""Normalize on PyTorch; sums of squares are never taken in half precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, at_least_single, module
from caffeflow.layers.normalize import NormalizeParams


class _Scaled(torch.autograd.Function):
    """x over its length, times factors, with Caffe's gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
        inverse = torch.rsqrt(x.square().sum(axes, keepdim=True) + eps)
        ctx.save_for_backward(x, factor, inverse)
        ctx.axes = axes
        return x * (inverse * factor)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (dy,) = grads
        x, factor, inverse = ctx.saved_tensors
        unit = x * inverse
        by_x = by_factor = None
        if ctx.needs_input_grad[0]:
            # Caffe: the factors stand outside the sum over channels (normalize_layer.cpp), which is the
            # gradient only while all factors are equal.
            along = (unit * dy).sum(ctx.axes, keepdim=True)
            by_x = factor * inverse * (dy - unit * along)
        if ctx.needs_input_grad[1]:
            by_factor = (unit * dy).sum_to_size(factor.shape)
        return by_x, by_factor, None, None


@module("Normalize")
class Normalize(LayerModule):
    """x over its length, times the learned factors."""

    scale: Tensor

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: NormalizeParams = setup.params

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape."""
        # x: (N, C, rest…), scale: (C,) or ()
        axes = tuple(range(1, x.dim())) if self.params.across_spatial else (1,)
        factor = self.scale.reshape(1, -1, *(1,) * (x.dim() - 2))
        top: Tensor = _Scaled.apply(  # type: ignore[no-untyped-call]
            at_least_single(x), factor, axes, self.params.eps
        )
        return top.to(x.dtype)
