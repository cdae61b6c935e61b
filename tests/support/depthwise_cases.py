"""Depthwise convolutions to compare: one list of settings and values for the loops, the engine and C++."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from tests.support.host_kernels import HostCase
from tests.support.layer_battery import Arrays, Case
from tests.support.oracles.convolution import convolution

Pair = tuple[int, int]


@dataclass(frozen=True)
class Depthwise:
    """One layer; pairs are height and width."""

    id: str
    bottom: tuple[int, int, int, int]
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    pad: Pair = (0, 0)
    dilation: int = 1
    multiplier: int = 1
    bias: bool = True

    @cached_property
    def battery(self) -> Case:
        """The layer as the battery of the engine's layers takes it, which also makes its values."""
        channels = self.bottom[1]
        settings = (
            f"num_output: {channels * self.multiplier} group: {channels} bias_term: {str(self.bias).lower()}"
            f" kernel_h: {self.kernel[0]} kernel_w: {self.kernel[1]}"
            f" stride_h: {self.stride[0]} stride_w: {self.stride[1]}"
            f" pad_h: {self.pad[0]} pad_w: {self.pad[1]} dilation: {self.dilation}"
        )
        return Case(
            id=self.id,
            prototxt=f'type: "Convolution" convolution_param {{ {settings} }}',
            bottoms=[self.bottom],
            oracle=lambda bottoms, blobs: convolution(
                *bottoms,
                *blobs,
                stride=self.stride,
                pad=self.pad,
                dilation=(self.dilation, self.dilation),
                group=channels,
            ),
        )

    @cached_property
    def top_diff(self) -> np.ndarray:
        """The gradient that comes from above."""
        return _normal(self.battery.facts.tops[0], seed=5)

    @cached_property
    def blob_diffs(self) -> Arrays:
        """What the gradients of weights and biases hold already; a layer adds to it."""
        return [_normal(blob.shape, seed=7) for blob in self.battery.blob_values()]

    def host_case(self, *, gpu: bool, double: bool) -> HostCase:
        """The layer as its C++ driver takes it."""
        channels = self.bottom[1]
        windows = (*self.kernel, *self.stride, *self.pad, self.dilation, self.dilation)
        settings = (gpu, double, *self.bottom, channels * self.multiplier, channels, self.bias, *windows)
        learned = zip(self.battery.blob_values(), self.blob_diffs, strict=True)
        arrays = (*self.battery.values(), self.top_diff, *(array for pair in learned for array in pair))
        return HostCase(tuple(map(int, settings)), arrays)

    @cached_property
    def expected(self) -> Arrays:
        """The top by loops, and the engine's gradients of bottom, weights and biases."""
        module = self.battery.module(double=True)
        bottom = torch.from_numpy(self.battery.values()[0]).double().requires_grad_()
        learned = list(module.learned)
        diffs = torch.autograd.grad(module(bottom), [bottom, *learned], torch.from_numpy(self.top_diff))
        sums = [diff.numpy() + before for diff, before in zip(diffs[1:], self.blob_diffs, strict=True)]
        return [np.asarray(self.battery.expected(self.battery.values())), diffs[0].numpy(), *sums]


def _normal(shape: tuple[int, ...], *, seed: int) -> np.ndarray:
    # Values that float32 holds, so that all sides start from the same.
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32).astype(np.float64)


_KINDS = (
    Depthwise("3x3", (2, 3, 5, 7), pad=(1, 1)),
    Depthwise("3x3-stride-2", (2, 3, 7, 11), stride=(2, 2), pad=(1, 1)),
    Depthwise("3x3-stride-2-even-sides", (1, 2, 8, 10), stride=(2, 2), pad=(1, 1)),
    Depthwise("3x3-dilated", (2, 3, 11, 13), pad=(2, 3), dilation=2),
    Depthwise("multiplier", (2, 3, 5, 7), multiplier=2, pad=(1, 1)),
    Depthwise("uneven", (2, 3, 11, 7), kernel=(5, 2), stride=(2, 3), pad=(1, 2), multiplier=3, bias=False),
    Depthwise("stride-over-kernel", (2, 5, 11, 13), kernel=(1, 2), stride=(3, 5)),
    Depthwise("1x1", (3, 5, 2, 7), kernel=(1, 1)),
    Depthwise("dilated-and-strided", (1, 2, 13, 17), kernel=(3, 2), stride=(2, 3), pad=(3, 1), dilation=3),
    Depthwise("bottom-beyond-last-window", (1, 2, 9, 23), kernel=(2, 3), stride=(5, 7)),
    Depthwise("kernel-over-all", (2, 3, 5, 7), kernel=(5, 7), bias=False),
    Depthwise("pad-over-kernel", (1, 2, 3, 5), kernel=(2, 3), stride=(2, 2), pad=(3, 5)),
    Depthwise("long-rows", (1, 2, 3, 37), pad=(1, 1)),
    Depthwise("5x5", (2, 2, 11, 13), kernel=(5, 5), pad=(2, 2), multiplier=2),
    Depthwise("5x5-stride-2", (1, 3, 13, 9), kernel=(5, 5), stride=(2, 2), pad=(2, 2)),
    Depthwise("uneven-strides", (1, 2, 9, 19), stride=(1, 2), pad=(1, 0)),
    Depthwise("one-value", (2, 3, 1, 1), pad=(1, 1)),
    Depthwise("kernel-over-plane", (1, 2, 2, 3), kernel=(5, 7), stride=(2, 1), pad=(2, 3)),
)


def _of_width(width: int) -> Depthwise:
    # Every remainder of a pack, whatever the stride; pads and heights of all kinds beside it.
    strides = ((1, 1), (2, 2), (3, 3), (1, 2), (2, 1))
    return Depthwise(
        f"width-{width}",
        (1, 2, 1 + 3 * width % 7, width),
        stride=strides[width % 5],
        pad=(1 + width % 2, 1 + width % 3 // 2),
        multiplier=1 + width % 11 // 10,
        bias=width % 4 == 0,
    )


CASES = (*_KINDS, *map(_of_width, range(1, 21)))

# Large enough for several threads. Its values by loops would take long; it is compared with itself.
LARGE = Depthwise("large", (8, 24, 29, 31), pad=(1, 1))
