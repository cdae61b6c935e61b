"""Pooling on PyTorch: torch's kernels where they agree with Caffe, and on a padded copy where not.

They disagree where the pad exceeds half the kernel, which torch refuses, and where torch drops the last
window though Caffe, without padding, keeps it. The copy is padded by hand until every window lies within.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.params import Pair
from caffeflow.layers.pooling import PoolingParams
from caffeflow.layers.spec import Shape

_LOWEST: Final = torch.finfo(torch.float32).min
"""Caffe's -FLT_MAX: the maximum over a window with nothing in it."""


@module("Pooling")
class Pooling(LayerModule):
    """Maximum or average over a sliding window."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: PoolingParams = setup.params

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Returns the pooled planes, and the positions of the maxima where they are a top."""
        # x: (N, C, H, W) -> (N, C, OH, OW)
        bottom = tuple(x.shape)
        top = self.spec.shapes(self.params, [bottom])[0]
        if self.params.kernel is None and self.params.method == "AVE":
            return x.mean(dim=(2, 3), keepdim=True)
        fits = self._torch_agrees(bottom, top)
        if self.params.method == "AVE":
            return self._average(x) if fits else self._average_padded(x, top)
        if self.params.tops < 2:
            return self._maximum(x) if fits else self._maximum_padded(x, top)
        return self._maximum_and_place(x, top)

    def _torch_agrees(self, bottom: Shape, top: Shape) -> bool:
        for axis in (0, 1):
            kernel, stride = self.params.window(bottom)[axis], self.params.stride[axis]
            pad, size, out = self.params.pad[axis], bottom[2 + axis], top[2 + axis]
            if 2 * pad > kernel:
                return False
            steps = size + 2 * pad - kernel
            torch_out = (-(-steps // stride) if self.params.round_up else steps // stride) + 1
            if self.params.round_up and (torch_out - 1) * stride >= size + pad:
                torch_out -= 1
            if out != torch_out:
                return False
        return True

    def _maximum(self, x: Tensor) -> Tensor:
        window = self.params.window(tuple(x.shape))
        return F.max_pool2d(x, window, self.params.stride, self.params.pad, ceil_mode=self.params.round_up)

    def _average(self, x: Tensor) -> Tensor:
        window = self.params.window(tuple(x.shape))
        return F.avg_pool2d(x, window, self.params.stride, self.params.pad, ceil_mode=self.params.round_up)

    def _maximum_padded(self, x: Tensor, top: Shape) -> Tensor:
        padded = self._pad(x, top, value=_LOWEST)
        return F.max_pool2d(padded, self.params.window(tuple(x.shape)), self.params.stride)

    def _maximum_and_place(self, x: Tensor, top: Shape) -> tuple[Tensor, Tensor]:
        pad, (height, width) = self.params.pad, x.shape[2:]
        padded = self._pad(x, top, value=_LOWEST)
        window = self.params.window(tuple(x.shape))
        largest, index = F.max_pool2d(padded, window, self.params.stride, return_indices=True)
        row = index // padded.shape[3] - pad[0]
        column = index % padded.shape[3] - pad[1]
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        place = torch.where(inside, row * width + column, -1)
        return largest, place.to(torch.promote_types(x.dtype, torch.float32))

    def _average_padded(self, x: Tensor, top: Shape) -> Tensor:
        window = self.params.window(tuple(x.shape))
        padded = self._pad(x, top, value=0.0)
        total = F.avg_pool2d(padded, window, self.params.stride, divisor_override=1)
        return total / self._areas(x, top, window)

    def _areas(self, x: Tensor, top: Shape, window: Pair) -> Tensor:
        # Caffe: rows and columns of padding count, those beyond the padding do not. A window beyond
        # both has no positive area, and is divided by it all the same (pooling_layer.cpp).
        extents = []
        for axis in (0, 1):
            start = (
                torch.arange(top[2 + axis], device=x.device) * self.params.stride[axis]
                - self.params.pad[axis]
            )
            end = (start + window[axis]).clamp(max=x.shape[2 + axis] + self.params.pad[axis])
            extents.append(end - start)
        return (extents[0][:, None] * extents[1]).to(x.dtype)

    def _pad(self, x: Tensor, top: Shape, *, value: float) -> Tensor:
        window, before, after = self.params.window(tuple(x.shape)), self.params.pad, []
        for axis in (0, 1):
            covered = (top[2 + axis] - 1) * self.params.stride[axis] + window[axis]
            after.append(covered - before[axis] - x.shape[2 + axis])
        return F.pad(x, (before[1], after[1], before[0], after[0]), value=value)
