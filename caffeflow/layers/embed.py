"""Embed: each value of the bottom, a whole number below `input_dim`, stands for a learned vector.

The weights are stored [input_dim, num_output], and vectors become the last axis of the top. Values are
truncated; they get no gradient. A filler left out means zeros, and there is a bias unless it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import filler
from caffeflow.layers.spec import Blob, LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import FillerParameter, LayerParameter


@dataclass(frozen=True, kw_only=True)
class EmbedParams:
    """The settings of Embed."""

    num_output: int
    input_dim: int
    bias_term: bool
    weight_filler: FillerParameter | None
    bias_filler: FillerParameter | None

    @classmethod
    def read(cls, layer: LayerParameter) -> EmbedParams:
        """Reads `embed_param`."""
        param = layer.embed_param
        for field, value in (("num_output", param.num_output), ("input_dim", param.input_dim)):
            if value < 1:
                raise NetError(f"{field} is {value} in embed_param; it must be at least 1")
        return cls(
            num_output=param.num_output,
            input_dim=param.input_dim,
            bias_term=param.bias_term,
            weight_filler=filler(param, "weight_filler"),
            bias_filler=filler(param, "bias_filler"),
        )


def shapes(params: EmbedParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the bottom's axes, then the vectors."""
    return [(*bottoms[0], params.num_output)]


def blobs(params: EmbedParams, _bottoms: Sequence[Shape]) -> list[Blob]:
    """Returns the vectors, and what is added to each of them."""
    shape = (params.input_dim, params.num_output)
    weight = Blob(name="weight", shape=shape, filler=params.weight_filler)
    bias = Blob(name="bias", shape=(params.num_output,), filler=params.bias_filler)
    return [weight, bias] if params.bias_term else [weight]


register(
    LayerSpec(type="Embed", read=EmbedParams.read, shapes=shapes, blobs=blobs, learns=("weight", "bias"))
)
