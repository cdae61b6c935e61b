"""Silence on PyTorch: reads, makes nothing."""

from __future__ import annotations

from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, module


@module("Silence")
class Silence(LayerModule):
    """Takes any bottoms."""

    def forward(self, *_bottoms: Tensor) -> tuple[Tensor, ...]:
        """Returns no top."""
        return ()
