"""Activations: a function of each element, one bottom and one top of the same shape.

What is Caffe's own here:
  * ReLU's gradient at 0 is the slope; ReLU6's is 0 at both ends; Clip's is 1 at both bounds;
  * Clip in place takes its gradient from the clipped values, so it passes all of it;
  * PReLU is the only one that learns: one slope a channel, 0.25 unless there is a filler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


def same_shape(_params: object, bottoms: Sequence[Shape]) -> list[Shape]:
    """The shape of a layer that works on each element alone."""
    return [bottoms[0]]


def is_in_place(layer: LayerParameter) -> bool:
    """Returns whether the first top overwrites the first bottom."""
    return list(layer.bottom[:1]) == list(layer.top[:1]) != []


@dataclass(frozen=True, kw_only=True)
class ReLUParams:
    """The settings of ReLU."""

    negative_slope: float

    @classmethod
    def read(cls, layer: LayerParameter) -> ReLUParams:
        """Reads `relu_param`."""
        slope = layer.relu_param.negative_slope
        if slope < 0 and is_in_place(layer):
            # Caffe: in place the sign of the result decides, which is wrong for such slopes (relu_layer.cpp).
            raise NetError(
                f"negative_slope {slope:g} has a wrong gradient in place; give the layer its own top"
            )
        return cls(negative_slope=slope)


register(LayerSpec(type="ReLU", read=ReLUParams.read, shapes=same_shape))
