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

from caffeflow.engine.modules.registry import LayerModule, Setup, at_least_single, module
from caffeflow.layers.params import Pair
from caffeflow.layers.pooling import PoolingParams, shapes
from caffeflow.layers.spec import Shape

_LOWEST: Final = torch.finfo(torch.float32).min
"""Caffe's -FLT_MAX: the maximum over a window with nothing in it."""


@module("Pooling")
class Pooling(LayerModule):
    """Maximum, average or drawn value over a sliding window."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: PoolingParams = setup.params
        self.generator = setup.generator
        self.draws = setup.is_training
        self.windows = Windows.over(self.params, setup.bottoms[0])

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Returns the pooled planes, and the places of the maxima where they are a top."""
        is_known = x.shape[2:] == self.windows.size
        windows = self.windows if is_known else Windows.over(self.params, x.shape)
        tops = pool(self.params, x, windows, draws=self.draws, generator=self.generator)
        return tops[0] if len(tops) == 1 else tops


def pool(
    params: PoolingParams, x: Tensor, windows: Windows, *, draws: bool, generator: torch.Generator | None
) -> tuple[Tensor, ...]:
    """Returns the pooled planes, and the places of the maxima where they are a top.

    Args:
        params: The pooling.
        x: The planes.
        windows: Where its windows lie over planes of that size.
        draws: STOCHASTIC pooling draws, as in TRAIN; otherwise it weighs.
        generator: Where it draws from; None: torch's default for the device.
    """
    # x: (N, C, H, W) -> (N, C, OH, OW)
    if params.method == "AVE" and params.kernel is None:
        return (x.mean(dim=(2, 3), keepdim=True),)
    if params.method == "STOCHASTIC":
        return (windows.drawn(x, generator) if draws else windows.weighed(x),)
    if params.method == "AVE":
        return (windows.averages(x),)
    return (windows.maxima(x),) if params.tops < 2 else windows.maxima_and_places(x)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """The windows over planes of one size; every pair is (along h, along w)."""

    size: Pair
    out: Pair
    kernel: Pair
    stride: Pair
    pad: Pair
    round_up: bool

    @classmethod
    def over(cls, params: PoolingParams, bottom: Shape) -> Windows:
        """Returns the windows that a pooling lays over planes of a shape."""
        (_, _, *out), *_ = shapes(params, [tuple(bottom)])
        return cls(
            size=(bottom[2], bottom[3]),
            out=(out[0], out[1]),
            kernel=params.window(bottom),
            stride=params.stride,
            pad=params.pad,
            round_up=params.round_up,
        )

    def _axes(self) -> Iterator[tuple[int, int, int, int, int]]:
        return zip(self.size, self.out, self.kernel, self.stride, self.pad, strict=True)

    def maxima(self, x: Tensor) -> Tensor:
        """Returns the largest value of each window."""
        if self._torch_agrees():
            return F.max_pool2d(x, self.kernel, self.stride, self.pad, ceil_mode=self.round_up)
        return F.max_pool2d(self._padded(x, _LOWEST), self.kernel, self.stride)

    def averages(self, x: Tensor) -> Tensor:
        """Returns the average of each window, padding counted."""
        if self._torch_agrees():
            return F.avg_pool2d(x, self.kernel, self.stride, self.pad, ceil_mode=self.round_up)
        total = F.avg_pool2d(self._padded(x, 0.0), self.kernel, self.stride, divisor_override=1)
        return total / self._areas(x)

    def maxima_and_places(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the largest value of each window, and its place in the plane."""
        padded = self._padded(x, _LOWEST)
        largest, index = F.max_pool2d(padded, self.kernel, self.stride, return_indices=True)
        row = index // padded.shape[3] - self.pad[0]
        column = index % padded.shape[3] - self.pad[1]
        inside = (row >= 0) & (row < self.size[0]) & (column >= 0) & (column < self.size[1])
        place = torch.where(inside, row * self.size[1] + column, -1)
        return largest, place.to(torch.promote_types(x.dtype, torch.float32))

    def drawn(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Returns a value of each window: the first at which the running sum reaches a share drawn of all."""
        rows, columns = (
            windows.unfold(0, kernel, stride)
            for windows, kernel, stride in zip(self._places(x), self.kernel, self.stride, strict=True)
        )
        inside = (rows[:, None, :, None] & columns[None, :, None, :]).flatten(2)
        padded = self._padded(x, 0.0)
        windows = padded.unfold(2, self.kernel[0], self.stride[0]).unfold(3, self.kernel[1], self.stride[1])
        values = windows.flatten(4)
        running = at_least_single(values.detach()).cumsum(-1)
        share = running[..., -1:].new_empty(running[..., -1:].shape).uniform_(generator=generator)
        reached = (running >= share * running[..., -1:]) & inside
        # Caffe: leaves the top as it was where rounding, or a negative sum, lets nothing reach the share
        # (pooling_layer.cu); here it is then the window's first value.
        return values.gather(-1, reached.to(torch.uint8).argmax(-1, keepdim=True)).squeeze(-1)

    def weighed(self, x: Tensor) -> Tensor:
        """Returns the average of each window's values, each weighed by itself; 0 where they sum to none."""
        padded = self._padded(at_least_single(x), 0.0)
        total, squares = (
            F.avg_pool2d(values, self.kernel, self.stride, divisor_override=1)
            for values in (padded, padded.square())
        )
        is_positive = total > 0
        return torch.where(is_positive, squares / torch.where(is_positive, total, 1), 0).to(x.dtype)

    def _places(self, x: Tensor) -> list[Tensor]:
        """Returns, for each axis of the padded planes, which places are of the image."""
        return [
            torch.arange((out - 1) * stride + kernel, device=x.device) < size
            for size, out, kernel, stride, _ in self._axes()
        ]

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
