"""Reduction as one of ONNX's, times the coefficient."""

from __future__ import annotations

from typing import Final

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.params import canonical_axis
from caffeflow.layers.reduction import Operation, ReductionParams

_OPERATORS: Final[dict[Operation, str]] = {
    "SUM": "ReduceSum",
    "ASUM": "ReduceL1",
    "SUMSQ": "ReduceSumSquare",
    "MEAN": "ReduceMean",
}


@writes("Reduction")
def write_reduction(layer: OnnxLayer) -> None:
    """All axes from `axis` on become one number."""
    params: ReductionParams = layer.params
    axes = len(layer.facts.bottoms[0])
    over = list(range(canonical_axis(params.axis, axes), axes))
    into = "" if params.coeff == 1 else "reduced"
    reduced = layer.reduce(_OPERATORS[params.operation], layer.bottoms[0], over, keepdims=False, into=into)
    if into:
        layer.add("Mul", reduced, layer.scalar("coeff", params.coeff))
