"""BatchReindex and Embed as Gather: rows of a blob or of learned vectors, by numbers."""

from __future__ import annotations

from onnx import TensorProto

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.embed import EmbedParams


@writes("BatchReindex")
def write_batch_reindex(layer: OnnxLayer) -> None:
    """The rows that the second bottom names."""
    rows = layer.add("Cast", layer.bottoms[1], into="rows", to=TensorProto.INT64)
    layer.add("Gather", layer.bottoms[0], rows, axis=0)


@writes("Embed")
def write_embed(layer: OnnxLayer) -> None:
    """A learned vector for each value."""
    params: EmbedParams = layer.params
    places = layer.add("Cast", layer.bottoms[0], into="places", to=TensorProto.INT64)
    into = "vectors" if params.bias_term else ""
    vectors = layer.add("Gather", layer.weight("weight"), places, into=into, axis=0)
    if params.bias_term:
        layer.add("Add", vectors, layer.weight("bias"))
