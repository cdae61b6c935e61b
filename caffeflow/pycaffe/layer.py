"""`Layer`: a layer of a net as scripts see it."""

from __future__ import annotations

from caffeflow.engine.blob import BlobList


class Layer:
    """A layer of a net.

    Attributes:
        type: The layer's type, such as `Convolution`.
        blobs: Its learned blobs.
    """

    def __init__(self, type: str, blobs: BlobList) -> None:
        self.type = type
        self.blobs = blobs
