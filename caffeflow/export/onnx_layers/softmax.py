"""Softmax; up to opset 12 ONNX's takes all axes from `axis` on as one, so that axis is brought to the end."""

from __future__ import annotations

from typing import Final

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.params import canonical_axis, count
from caffeflow.layers.softmax import SoftmaxParams

_ALONG_ONE_AXIS: Final = 13


@writes("Softmax")
def write_softmax(layer: OnnxLayer) -> None:
    """Softmax along one axis."""
    params: SoftmaxParams = layer.params
    bottom = layer.facts.bottoms[0]
    axis = canonical_axis(params.axis, len(bottom))
    if layer.opset >= _ALONG_ONE_AXIS or count(bottom[axis + 1 :]) == 1:
        layer.add("Softmax", layer.bottoms[0], axis=axis)
        return
    order = list(range(len(bottom)))
    order[axis], order[-1] = order[-1], order[axis]
    last = layer.add("Transpose", layer.bottoms[0], into="axis_last", perm=order)
    shares = layer.add("Softmax", last, into="shares", axis=len(bottom) - 1)
    layer.add("Transpose", shares, perm=order)
