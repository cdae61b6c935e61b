"""Dropout: nothing is written, since in TEST its top is its bottom."""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.dropout import DropoutParams


@writes("Dropout")
def write_dropout(layer: OnnxLayer) -> None:
    """Nothing, unless the layer itself asks for training."""
    params: DropoutParams = layer.params
    if layer.phase == "TRAIN" and params.ratio:
        layer.refuse("its own phase is TRAIN, in which it drops at random; remove the layer's phase")
