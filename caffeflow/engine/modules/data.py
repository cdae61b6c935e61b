"""Layers whose tops come from outside: the feed brings the values, the module hands them on."""

from __future__ import annotations

from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, module


@module("AnnotatedData", "Data", "DummyData", "HDF5Data", "ImageData", "Input", "MemoryData", "WindowData")
class Fed(LayerModule):
    """Takes what the feed brought, one tensor a top."""

    def forward(self, *fed: Tensor) -> tuple[Tensor, ...]:
        """Returns the tops as fed."""
        return fed
