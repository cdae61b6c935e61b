"""Parameter as a constant."""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes


@writes("Parameter")
def write_parameter(layer: OnnxLayer) -> None:
    """The learned blob."""
    layer.add("Identity", layer.weight("value"))
