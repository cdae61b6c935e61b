"""Crop as a Slice with the bounds that the shapes give; its second bottom is not read."""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.crop import CropParams
from caffeflow.layers.params import canonical_axis


@writes("Crop")
def write_crop(layer: OnnxLayer) -> None:
    """The first bottom between fixed bounds."""
    params: CropParams = layer.params
    bottom, top = layer.facts.bottoms[0], layer.facts.tops[0]
    begins = params.begins(bottom)
    cut = list(range(canonical_axis(params.axis, len(bottom)), len(bottom)))
    if any(layer.bottom_dims[0][axis] < 0 for axis in cut):
        layer.refuse("it cuts the batch, whose size is left open; export it without --dynamic-batch")
    bounds = [
        layer.integers("starts", [begins[axis] for axis in cut]),
        layer.integers("ends", [begins[axis] + top[axis] for axis in cut]),
        layer.integers("axes", cut),
    ]
    layer.add("Slice", layer.bottoms[0], *bounds)
