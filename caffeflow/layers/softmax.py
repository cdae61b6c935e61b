"""Softmax: scores to probabilities along `axis` (1 unless set)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.layers.params import canonical_axis
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class SoftmaxParams:
    """The settings of Softmax."""

    axis: int

    @classmethod
    def read(cls, layer: LayerParameter) -> SoftmaxParams:
        """Reads `softmax_param`."""
        return cls(axis=layer.softmax_param.axis)


def shapes(params: SoftmaxParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the bottom's shape."""
    (bottom,) = bottoms
    canonical_axis(params.axis, len(bottom))
    return [bottom]


register(LayerSpec(type="Softmax", read=SoftmaxParams.read, shapes=shapes, may_be_in_place=True))
