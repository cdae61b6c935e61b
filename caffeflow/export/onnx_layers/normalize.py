"""Normalize: x over the root of the sum of its squares, times the learned factors.

ONNX's own LpNormalization has no eps, so the parts are written one by one.
"""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.normalize import NormalizeParams


@writes("Normalize")
def write_normalize(layer: OnnxLayer) -> None:
    """Sum of squares, eps, root, quotient, factors."""
    params: NormalizeParams = layer.params
    x, axes = layer.bottoms[0], len(layer.facts.bottoms[0])
    over = list(range(1, axes)) if params.across_spatial else [1]
    total = layer.reduce("ReduceSumSquare", x, over, keepdims=True, into="squares")
    if params.eps:
        total = layer.add("Add", total, layer.scalar("eps", params.eps), into="squares_and_eps")
    unit = layer.add("Div", x, layer.add("Sqrt", total, into="length"), into="unit")
    scale = layer.learned("scale").reshape(-1, *(1,) * (axes - 2))
    layer.add("Mul", unit, layer.weight("scale", scale))
