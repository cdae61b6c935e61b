"""Tile as ONNX's, which takes a count for each axis."""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.params import canonical_axis
from caffeflow.layers.tile import TileParams


@writes("Tile")
def write_tile(layer: OnnxLayer) -> None:
    """Copies one after the other along an axis."""
    params: TileParams = layer.params
    axes = len(layer.facts.bottoms[0])
    repeats = [1] * axes
    repeats[canonical_axis(params.axis, axes)] = params.tiles
    layer.add("Tile", layer.bottoms[0], layer.integers("repeats", repeats))
