"""PriorBox as a constant: its boxes depend on sizes alone."""

from __future__ import annotations

from onnx import numpy_helper

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.export.priors import layer_priors


@writes("PriorBox")
def write_prior_box(layer: OnnxLayer) -> None:
    """Constant; written only where something other than a cut DetectionOutput reads the boxes."""
    layer.add("Constant", value=numpy_helper.from_array(layer_priors(layer.facts), layer.facts.name))
