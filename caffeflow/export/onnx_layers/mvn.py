"""MVN part by part: ONNX's MeanVarianceNormalization adds eps elsewhere."""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.mvn import MVNParams


@writes("MVN")
def write_mvn(layer: OnnxLayer) -> None:
    """Mean, difference, deviation, eps, quotient."""
    params: MVNParams = layer.params
    x = layer.bottoms[0]
    if len(layer.facts.bottoms[0]) < 4:
        x = layer.reshape(x, layer.top_dims[0], into="four")
    mean = layer.reduce("ReduceMean", x, params.axes, keepdims=True, into="mean")
    centred = layer.add("Sub", x, mean, into="centred" if params.divides else "")
    if not params.divides:
        return
    squares = layer.add("Mul", centred, centred, into="squares")
    variance = layer.reduce("ReduceMean", squares, params.axes, keepdims=True, into="variance")
    deviation = layer.add("Sqrt", variance, into="deviation")
    layer.add("Div", centred, layer.add("Add", deviation, layer.scalar("eps", params.eps), into="and_eps"))
