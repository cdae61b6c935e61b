"""Dropout: in TRAIN each element is zeroed with probability `dropout_ratio`.

The others grow by 1 / (1 - dropout_ratio). In TEST nothing happens, and no scaling is needed; the
layer's phase alone decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.spec import LayerSpec, register, same_shape
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class DropoutParams:
    """The settings of Dropout."""

    ratio: float

    @classmethod
    def read(cls, layer: LayerParameter) -> DropoutParams:
        """Reads `dropout_param`."""
        ratio = layer.dropout_param.dropout_ratio
        if not 0 <= ratio < 1:
            raise NetError(f"dropout_ratio is {ratio:g}; it must be at least 0 and less than 1")
        return cls(ratio=ratio)


register(LayerSpec(type="Dropout", read=DropoutParams.read, shapes=same_shape, may_be_in_place=True))
