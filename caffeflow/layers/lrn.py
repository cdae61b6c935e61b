"""LRN: each element is divided by a power of the squares around it.

What is Caffe's own here:
  * ACROSS_CHANNELS divides alpha by local_size, WITHIN_CHANNEL by local_size squared;
  * WITHIN_CHANNEL ignores k and adds 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import dims
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter, LRNParameter


@dataclass(frozen=True, kw_only=True)
class LRNParams:
    """The settings of LRN.

    Attributes:
        size: Width of the neighbourhood, odd.
        within: The neighbourhood is a square in the channel's plane, not a run of channels.
    """

    size: int
    alpha: float
    beta: float
    k: float
    within: bool

    @classmethod
    def read(cls, layer: LayerParameter) -> LRNParams:
        """Reads `lrn_param`."""
        param = layer.lrn_param
        if param.local_size % 2 != 1:
            raise NetError(f"local_size is {param.local_size}; LRN only supports odd values")
        within = param.norm_region == LRNParameter.WITHIN_CHANNEL
        k = 1.0 if within else param.k
        return cls(size=param.local_size, alpha=param.alpha, beta=param.beta, k=k, within=within)


def shapes(_params: LRNParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the bottom's shape, which must have 4 axes."""
    (bottom,) = bottoms
    if len(bottom) != 4:
        raise NetError(f"the bottom must have 4 axes (N, C, H, W); found {dims(bottom)}")
    return [bottom]


register(LayerSpec(type="LRN", read=LRNParams.read, shapes=shapes))
