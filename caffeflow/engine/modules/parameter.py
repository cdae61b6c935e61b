"""Parameter on PyTorch."""

from __future__ import annotations

from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, module


@module("Parameter")
class Parameter(LayerModule):
    """A learned blob as a top."""

    value: Tensor

    def forward(self) -> Tensor:
        """Returns a copy, so that an output that was kept does not change with the next update."""
        return self.value.clone()
