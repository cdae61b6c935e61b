"""Flatten as Flatten where it keeps one axis before, otherwise as Reshape, which Reshape is too.

The shape is written as it comes out, with -1 for a batch size that is left open; Caffe's 0, axis and
num_axes are gone by then.
"""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.params import canonical_axis
from caffeflow.layers.reshape import FlattenParams


@writes("Flatten")
def write_flatten(layer: OnnxLayer) -> None:
    """Flatten of all axes from the second on, or Reshape of a run of axes."""
    params: FlattenParams = layer.params
    axes = len(layer.facts.bottoms[0])
    first, last = (canonical_axis(axis, axes) for axis in (params.axis, params.end_axis))
    if (first, last) == (1, axes - 1):
        layer.add("Flatten", layer.bottoms[0], axis=1)
    else:
        layer.reshape(layer.bottoms[0], layer.top_dims[0])


@writes("Reshape")
def write_reshape(layer: OnnxLayer) -> None:
    """Reshape."""
    layer.reshape(layer.bottoms[0], layer.top_dims[0])
