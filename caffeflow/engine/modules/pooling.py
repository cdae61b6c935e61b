"""Pooling on PyTorch: torch's kernels where they agree with Caffe, and on a padded copy where not.

They disagree where the pad exceeds half the kernel, which torch refuses, and where torch drops the last
window though Caffe, without padding, keeps it. The copy is padded by hand until every window lies within.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.params import Pair
from caffeflow.layers.pooling import PoolingParams

_LOWEST: Final = torch.finfo(torch.float32).min
"""Caffe's -FLT_MAX: the maximum over a window with nothing in it."""


@module("Pooling")
class Pooling(LayerModule):
    """Maximum or average over a sliding window."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: PoolingParams = setup.params

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Returns the pooled planes, and the places of the maxima where they are a top."""
        # x: (N, C, H, W) -> (N, C, OH, OW)
        if self.params.method == "AVE" and self.params.kernel is None:
            return x.mean(dim=(2, 3), keepdim=True)
        bottom = tuple(x.shape)
        (_, _, *out), *_ = self.spec.shapes(self.params, [bottom])
        windows = _Windows(
            size=(bottom[2], bottom[3]),
            out=(out[0], out[1]),
            kernel=self.params.window(bottom),
            stride=self.params.stride,
            pad=self.params.pad,
            round_up=self.params.round_up,
        )
        if self.params.method == "AVE":
            return windows.averages(x)
        return windows.maxima(x) if self.params.tops < 2 else windows.maxima_and_places(x)


@dataclass(frozen=True, kw_only=True)
class _Windows:
    """The windows over planes of one size; every pair is (along h, along w)."""

    size: Pair
    out: Pair
    kernel: Pair
    stride: Pair
    pad: Pair
    round_up: bool

    def _axes(self) -> Iterator[tuple[int, int, int, int, int]]:
        return zip(self.size, self.out, self.kernel, self.stride, self.pad, strict=True)

    def maxima(self, x: Tensor) -> Tensor:
        if self._torch_agrees():
            return F.max_pool2d(x, self.kernel, self.stride, self.pad, ceil_mode=self.round_up)
        return F.max_pool2d(self._padded(x, _LOWEST), self.kernel, self.stride)

    def averages(self, x: Tensor) -> Tensor:
        if self._torch_agrees():
            return F.avg_pool2d(x, self.kernel, self.stride, self.pad, ceil_mode=self.round_up)
        total = F.avg_pool2d(self._padded(x, 0.0), self.kernel, self.stride, divisor_override=1)
        return total / self._areas(x)

    def maxima_and_places(self, x: Tensor) -> tuple[Tensor, Tensor]:
        padded = self._padded(x, _LOWEST)
        largest, index = F.max_pool2d(padded, self.kernel, self.stride, return_indices=True)
        row = index // padded.shape[3] - self.pad[0]
        column = index % padded.shape[3] - self.pad[1]
        inside = (row >= 0) & (row < self.size[0]) & (column >= 0) & (column < self.size[1])
        place = torch.where(inside, row * self.size[1] + column, -1)
        return largest, place.to(torch.promote_types(x.dtype, torch.float32))

    def _torch_agrees(self) -> bool:
        for size, out, kernel, stride, pad in self._axes():
            steps = size + 2 * pad - kernel
            torch_out = (-(-steps // stride) if self.round_up else steps // stride) + 1
            if self.round_up and (torch_out - 1) * stride >= size + pad:
                torch_out -= 1
            if 2 * pad > kernel or out != torch_out:
                return False
        return True

    def _padded(self, x: Tensor, value: float) -> Tensor:
        after = [(out - 1) * stride + kernel - pad - size for size, out, kernel, stride, pad in self._axes()]
        return F.pad(x, (self.pad[1], after[1], self.pad[0], after[0]), value=value)

    def _areas(self, x: Tensor) -> Tensor:
        # Caffe: rows and columns of padding count, those beyond the padding do not. A window beyond
        # both has no positive area, and is divided by it all the same (pooling_layer.cpp).
        extents = []
        for size, out, kernel, stride, pad in self._axes():
            start = torch.arange(out, device=x.device) * stride - pad
            extents.append((start + kernel).clamp(max=size + pad) - start)
        return (extents[0][:, None] * extents[1]).to(x.dtype)
