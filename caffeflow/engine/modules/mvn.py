"""MVN on PyTorch; means are never taken in half precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, at_least_single, module
from caffeflow.layers.mvn import MVNParams
from caffeflow.layers.params import as_four


class _Normalised(torch.autograd.Function):
    """Centred values over their deviation, with Caffe's gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, params: MVNParams) -> Tensor:
        centred = x - x.mean(params.axes, keepdim=True)
        deviation = centred.square().mean(params.axes, keepdim=True).sqrt() + params.eps
        y = centred / deviation
        ctx.save_for_backward(y, deviation)
        ctx.axes = params.axes
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (dy,) = grads
        y, deviation = ctx.saved_tensors
        # Caffe: the derivative of the deviation is taken by the deviation and eps (mvn_layer.cpp).
        along = (dy * y).mean(ctx.axes, keepdim=True)
        return (dy - dy.mean(ctx.axes, keepdim=True) - y * along) / deviation, None


@module("MVN")
class MVN(LayerModule):
    """Planes or images of mean 0, and of deviation 1."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: MVNParams = setup.params

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of four axes."""
        single = at_least_single(x).reshape(as_four(tuple(x.shape)))
        if self.params.divides:
            y: Tensor = _Normalised.apply(single, self.params)  # type: ignore[no-untyped-call]
        else:
            y = single - single.mean(self.params.axes, keepdim=True)
        return y.to(x.dtype)
