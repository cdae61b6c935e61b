"""BatchNorm on PyTorch: torch normalises, and its statistics of the batch go into Caffe's sums.

Torch's running averages with a momentum of 1 are just the batch's mean and unbiased variance: what Caffe
adds to its sums, without a second pass over the data.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from caffeflow.engine.batch_statistics import loses_digits, normalise_batch
from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.batch_norm import BatchNormParams


@module("BatchNorm")
class BatchNorm(LayerModule):
    """Each channel to mean 0 and variance 1, by the batch's statistics or the stored ones."""

    mean: Tensor
    variance: Tensor
    factor: Tensor

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: BatchNormParams = setup.params
        self.uses_stored = self.params.uses_stored(setup.phase)

    def forward(self, x: Tensor) -> Tensor:
        """Returns a top of the same shape; with the batch's statistics, adds them to the stored sums."""
        return self.normalised(x)

    def normalised(self, x: Tensor, scale: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """Returns the top, scaled and shifted per channel at no extra cost if asked to.

        Args:
            x: The bottom, (N, C, rest…).
            scale: The factor of a Scale layer that follows, (C,).
            bias: Its bias, (C,).
        """
        if self.uses_stored:
            mean, variance = self.stored()
            return self._normalise(x, scale, bias, mean, variance, training=False)
        elements = math.prod(x.shape) // x.shape[1]
        if loses_digits(x):
            top, mean, variance = normalise_batch(x, scale, bias, eps=self.params.eps)
            self._add_to_sums(mean, variance * (elements / max(elements - 1, 1)), elements=elements)
            return top
        mean, variance = torch.zeros_like(self.mean), torch.zeros_like(self.variance)
        top = self._normalise(x, scale, bias, mean, variance, training=True)
        self._add_to_sums(mean, variance, elements=elements)
        return top

    def stored(self) -> tuple[Tensor, Tensor]:
        """Returns the stored mean and variance: the sums divided by the factor, zeros if that is 0."""
        inverse = torch.where(self.factor == 0, 0, 1 / self.factor)
        return self.mean * inverse, self.variance * inverse

    def _normalise(
        self,
        x: Tensor,
        scale: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        *,
        training: bool,
    ) -> Tensor:
        return torch.batch_norm(
            x, scale, bias, mean, variance, training, 1.0, self.params.eps, torch.backends.cudnn.enabled
        )

    @torch.no_grad()
    def _add_to_sums(self, mean: Tensor, unbiased: Tensor, *, elements: int) -> None:
        if elements == 1:  # the unbiased variance of one element is 0 / 0; Caffe adds the biased one
            unbiased = torch.zeros_like(unbiased)
        self.mean.mul_(self.params.moving_average_fraction).add_(mean)
        self.variance.mul_(self.params.moving_average_fraction).add_(unbiased)
        self.factor.mul_(self.params.moving_average_fraction).add_(1)
