"""Silence: nothing is written, and what only it reads is no output."""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes


@writes("Silence")
def write_silence(_layer: OnnxLayer) -> None:
    """Nothing."""
