"""Concat as Concat, Slice as Split; Caffe's Split only gives a value a second name, so nothing is written."""

from __future__ import annotations

from typing import Final

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.concat_slice import ConcatParams, SliceParams, slice_sizes
from caffeflow.layers.params import canonical_axis

_SIZES_AS_INPUT: Final = 13


@writes("Concat")
def write_concat(layer: OnnxLayer) -> None:
    """Concat."""
    params: ConcatParams = layer.params
    layer.add("Concat", *layer.bottoms, axis=canonical_axis(params.axis, len(layer.facts.bottoms[0])))


@writes("Slice")
def write_slice(layer: OnnxLayer) -> None:
    """Split into the parts' sizes."""
    params: SliceParams = layer.params
    bottom = layer.facts.bottoms[0]
    axis = canonical_axis(params.axis, len(bottom))
    if len(layer.tops) == 1:
        layer.add("Identity", layer.bottoms[0])
        return
    if layer.bottom_dims[0][axis] < 0:
        layer.refuse("it cuts the batch, whose size is left open; export it without --dynamic-batch")
    sizes = slice_sizes(params, bottom)
    if layer.opset < _SIZES_AS_INPUT:
        layer.node("Split", layer.bottoms, layer.tops, axis=axis, split=sizes)
    else:
        layer.node("Split", [*layer.bottoms, layer.integers("sizes", sizes)], layer.tops, axis=axis)


@writes("Split")
def write_split(_layer: OnnxLayer) -> None:
    """Nothing: its tops are other names of its bottom."""
