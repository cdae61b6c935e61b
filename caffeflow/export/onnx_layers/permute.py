"""Permute as Transpose."""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.permute import PermuteParams


@writes("Permute")
def write_permute(layer: OnnxLayer) -> None:
    """Transpose, with the axes that the order leaves out behind."""
    params: PermuteParams = layer.params
    layer.add("Transpose", layer.bottoms[0], perm=list(params.full_order(len(layer.facts.bottoms[0]))))
