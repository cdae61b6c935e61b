"""Concat, Slice and Split on PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.concat_slice import ConcatParams, SliceParams, slice_sizes


@module("Concat")
class Concat(LayerModule):
    """The bottoms one after the other along an axis."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: ConcatParams = setup.params
        self.axis = params.axis

    def forward(self, *bottoms: Tensor) -> Tensor:
        """Returns the joined top."""
        return torch.cat(bottoms, dim=self.axis)


@module("Slice")
class Slice(LayerModule):
    """Parts of the bottom along an axis; they share its memory."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: SliceParams = setup.params

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the parts."""
        return torch.split(x, slice_sizes(self.params, tuple(x.shape)), dim=self.params.axis)


@module("Split")
class Split(LayerModule):
    """The bottom again, once for each top; gradients add up."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.tops: int = setup.params

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the tops, which share the bottom's memory."""
        return (x,) * self.tops
