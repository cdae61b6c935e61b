"""`Layer`: what Python layers are derived from, and what scripts see of every other layer."""

from __future__ import annotations

from caffeflow.engine.blob import BlobList
from caffeflow.engine.python_layers import Layer


class BuiltInLayer(Layer):
    """A layer that the engine computes.

    Attributes:
        type: The layer's type, such as `Convolution`.
        blobs: Its learned blobs.
    """

    def __init__(self, type: str, blobs: BlobList) -> None:
        self.type = type
        self.blobs = blobs


__all__ = ["BuiltInLayer", "Layer"]
