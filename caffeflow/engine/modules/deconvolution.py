"""Deconvolution on PyTorch: the weight layouts are the same, so a blob is used as it is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.convolution import Filtering
from caffeflow.engine.modules.registry import module

_TRANSPOSED: Final[dict[int, Callable[..., Tensor]]] = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}


@module("Deconvolution")
class Deconvolution(Filtering):
    """The transpose of a convolution of each bottom with the same filters."""

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Returns one top for each bottom."""
        tops = tuple(self.filter(_TRANSPOSED, bottom) for bottom in bottoms)
        return tops[0] if len(tops) == 1 else tops
