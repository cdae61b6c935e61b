"""ContrastiveLoss on PyTorch: an unweighted scalar, with Caffe's gradient."""

from __future__ import annotations

from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, at_least_single, module
from caffeflow.layers.contrastive_loss import ContrastiveParams

ADDED: Final = 1e-4
"""What Caffe adds to a distance before it divides by it."""


class _Contrast(torch.autograd.Function):
    """The loss of differences between vectors."""

    @staticmethod
    def forward(ctx: Any, apart: Tensor, is_pair: Tensor, params: ContrastiveParams) -> Tensor:
        # apart: (N, C), is_pair: (N) -> ()
        squared = apart.square().sum(1)
        distance = squared.sqrt()
        lacking = params.margin - (squared if params.is_legacy else distance)
        cost = F.relu(lacking) if params.is_legacy else F.relu(lacking).square()
        # Caffe: where the derivative divides by the distance, it adds 1e-4 (contrastive_loss_layer.cpp).
        push = torch.ones_like(lacking) if params.is_legacy else lacking / (distance + ADDED)
        factor = torch.where(is_pair, 1.0, torch.where(lacking > 0, -push, 0.0))
        ctx.save_for_backward(apart, factor)
        return torch.where(is_pair, squared, cost).sum() / (2 * len(apart))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        apart, factor = ctx.saved_tensors
        return grads[0] / len(apart) * factor[:, None] * apart, None, None


@module("ContrastiveLoss")
class ContrastiveLoss(LayerModule):
    """Half the mean of squared distances of pairs, and of what lacks to the margin for others."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: ContrastiveParams = setup.params

    def forward(self, first: Tensor, second: Tensor, kinds: Tensor) -> Tensor:
        """Returns the loss."""
        apart = at_least_single(first).flatten(1) - at_least_single(second).flatten(1)
        # Caffe: the value is cut to a whole number, so that 0.5 is no pair.
        is_pair = kinds.detach().reshape(-1).to(torch.int64) != 0
        loss: Tensor = _Contrast.apply(apart, is_pair, self.params)  # type: ignore[no-untyped-call]
        return loss
