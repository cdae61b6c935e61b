"""Parameter: a learned blob as a top, for layers that take what others learn as a bottom.

It begins as zeros: Caffe has no filler for it. Write the values into the layer's `blobs`, or load weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import dims
from caffeflow.layers.spec import Blob, LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class ParameterParams:
    """The settings of Parameter."""

    shape: Shape

    @classmethod
    def read(cls, layer: LayerParameter) -> ParameterParams:
        """Reads `parameter_param`."""
        shape = tuple(int(dim) for dim in layer.parameter_param.shape.dim)
        if any(dim < 1 for dim in shape):
            raise NetError(f"shape {dims(shape)} in parameter_param has a dimension below 1")
        return cls(shape=shape)


def shapes(params: ParameterParams, _bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the shape as written."""
    return [params.shape]


def blobs(params: ParameterParams, _bottoms: Sequence[Shape]) -> list[Blob]:
    """Returns the blob itself."""
    return [Blob(name="value", shape=params.shape)]


register(
    LayerSpec(
        type="Parameter",
        bottoms=0,
        read=ParameterParams.read,
        shapes=shapes,
        blobs=blobs,
        learns=("value",),
    )
)
