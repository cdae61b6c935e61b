"""Convolution on PyTorch: the weight layouts are the same, so a blob is used as it is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.errors import UnsupportedLayerError
from caffeflow.layers.convolution import DEPTHWISE, ConvolutionParams
from caffeflow.layers.params import canonical_axis

CONVOLUTIONS: Final[dict[int, Callable[..., Tensor]]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class _PadEnd(torch.autograd.Function):
    """Zeros after the last two axes, as `tf_pad` puts them there."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, height: int, width: int) -> Tensor:
        ctx.pad = height, width
        return F.pad(x, (0, width, 0, height))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        # Caffe: takes the gradient as if the zeros stood before the axes as well, which shifts it (col2im).
        height, width = ctx.pad
        return grads[0][..., height:, width:], None, None


class Filtering(LayerModule):
    """What Convolution and Deconvolution share: the settings and how axes become a batch.

    Attributes:
        axis: The channel axis; what stands before it is batch.
        settings: Stride, padding, dilation and groups, as torch's functions take them.
    """

    bias: Tensor
    weight: Tensor

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: ConvolutionParams = setup.params
        bottom = setup.bottoms[0]
        self.axis = canonical_axis(params.axis, len(bottom))
        self.axes = len(bottom) - self.axis - 1
        if self.axes > max(CONVOLUTIONS):
            raise UnsupportedLayerError(
                f"{self.axes} spatial axes; the embedded engine runs up to {max(CONVOLUTIONS)}",
                layer=setup.layer.name,
            )
        filters = params.filters(bottom)
        self.settings: dict[str, Any] = {"groups": params.groups(bottom)}
        if self.axes:
            self.settings |= {
                "stride": filters.stride,
                "padding": filters.pad,
                "dilation": filters.dilation,
            }

    def filter(self, table: dict[int, Callable[..., Tensor]], x: Tensor) -> Tensor:
        """Returns one top: runs the table's function for the number of spatial axes."""
        # x: (batch…, C, spatial…) -> (batch…, K, spatial…)
        bias = self.bias if "bias" in self.blob_names else None
        weight = self.weight
        as_batch = x if self.axis == 1 else x.reshape(-1, *x.shape[self.axis :])
        if not self.axes:  # no spatial axis: a window of one element over one element
            as_batch, weight = as_batch.unsqueeze(-1), weight.unsqueeze(-1)
        top = table[max(self.axes, 1)](as_batch, weight, bias, **self.settings)
        if not self.axes:
            top = top.squeeze(-1)
        return top if self.axis == 1 else top.reshape(*x.shape[: self.axis], *top.shape[1:])


@module("Convolution", *DEPTHWISE)
class Convolution(Filtering):
    """Cross-correlation of each bottom with the same filters."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        filters = setup.params.filters(setup.bottoms[0])
        self.end_pad: list[int] = []
        if any(filters.pads_end_only):
            both_sides = list(zip(filters.pad, filters.pads_end_only, strict=True))
            self.end_pad = [pad if end_only else 0 for pad, end_only in both_sides]
            self.settings["padding"] = tuple(0 if end_only else pad for pad, end_only in both_sides)

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Returns one top for each bottom."""
        if self.end_pad:
            bottoms = tuple(
                _PadEnd.apply(bottom, *self.end_pad)  # type: ignore[no-untyped-call]
                for bottom in bottoms
            )
        tops = tuple(self.filter(CONVOLUTIONS, bottom) for bottom in bottoms)
        return tops[0] if len(tops) == 1 else tops
