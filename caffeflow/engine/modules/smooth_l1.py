"""SmoothL1Loss on PyTorch: an unweighted scalar; the executor multiplies by loss_weight."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, at_least_single, module


class _WeighedOnce(torch.autograd.Function):
    """Differences times weights, whose gradient goes to the differences as if there were no weights."""

    @staticmethod
    def forward(_ctx: Any, differences: Tensor, weights: Tensor) -> Tensor:
        return differences * weights

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        # Caffe: the chain rule's second factor is left out (smooth_L1_loss_layer.cpp).
        return grads[0], None


@module("SmoothL1Loss")
class SmoothL1Loss(LayerModule):
    """0.5 d^2 where |d| < 1, |d| - 0.5 elsewhere, summed and divided by the number of rows."""

    def forward(self, predicted: Tensor, wanted: Tensor, weights: Tensor | None = None) -> Tensor:
        """Returns the loss."""
        differences = at_least_single(predicted) - at_least_single(wanted).reshape(predicted.shape)
        if weights is not None:
            weighed: Tensor = _WeighedOnce.apply(  # type: ignore[no-untyped-call]
                differences, at_least_single(weights).reshape(predicted.shape)
            )
            differences = weighed
        rows = predicted.shape[0] if predicted.dim() else 1
        return F.smooth_l1_loss(differences, torch.zeros_like(differences), reduction="sum") / rows
