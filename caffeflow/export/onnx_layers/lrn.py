"""LRN: across channels ONNX has the same operator; within a channel it is an average pooling of squares."""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.export.onnx_layers.arithmetic import scaled
from caffeflow.layers.lrn import LRNParams


@writes("LRN")
def write_lrn(layer: OnnxLayer) -> None:
    """Each element over a power of the squares around it."""
    params: LRNParams = layer.params
    x = layer.bottoms[0]
    if not params.within:
        layer.add("LRN", x, size=params.size, alpha=params.alpha, beta=params.beta, bias=params.k)
        return
    mean = layer.add(
        "AveragePool",
        layer.add("Mul", x, x, into="square"),
        into="mean",
        kernel_shape=[params.size] * 2,
        strides=[1, 1],
        pads=[params.size // 2] * 4,
        count_include_pad=1,
    )
    base = scaled(layer, mean, by=params.alpha, plus=params.k)
    factor = layer.add("Pow", base, layer.scalar("power", -params.beta), into="factor")
    layer.add("Mul", x, factor)
