"""InnerProduct: every output is a weighted sum of all that follows `axis`.

With `transpose` the weights are stored [inputs, outputs]; otherwise [outputs, inputs]. A filler left out
means zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import canonical_axis, count, filler
from caffeflow.layers.spec import Blob, LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import FillerParameter, LayerParameter


@dataclass(frozen=True, kw_only=True)
class InnerProductParams:
    """The settings of InnerProduct."""

    num_output: int
    bias_term: bool
    axis: int
    transpose: bool
    weight_filler: FillerParameter | None
    bias_filler: FillerParameter | None

    @classmethod
    def read(cls, layer: LayerParameter) -> InnerProductParams:
        """Reads `inner_product_param`."""
        param = layer.inner_product_param
        if param.num_output < 1:
            raise NetError(f"num_output is {param.num_output}; it must be at least 1")
        return cls(
            num_output=param.num_output,
            bias_term=param.bias_term,
            axis=param.axis,
            transpose=param.transpose,
            weight_filler=filler(param, "weight_filler"),
            bias_filler=filler(param, "bias_filler"),
        )


def shapes(params: InnerProductParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the axes before `axis`, then the outputs."""
    (bottom,) = bottoms
    return [(*bottom[: canonical_axis(params.axis, len(bottom))], params.num_output)]


def blobs(params: InnerProductParams, bottoms: Sequence[Shape]) -> list[Blob]:
    """Returns the weights and the biases."""
    (bottom,) = bottoms
    inputs = count(bottom[canonical_axis(params.axis, len(bottom)) :])
    shape = (inputs, params.num_output) if params.transpose else (params.num_output, inputs)
    weight = Blob(name="weight", shape=shape, filler=params.weight_filler)
    bias = Blob(name="bias", shape=(params.num_output,), filler=params.bias_filler)
    return [weight, bias] if params.bias_term else [weight]


def macs(_params: InnerProductParams, bottoms: Sequence[Shape], _tops: Sequence[Shape]) -> int:
    """Returns one product for each input and output of each row."""
    return count(bottoms[0]) * _params.num_output


register(
    LayerSpec(
        type="InnerProduct",
        read=InnerProductParams.read,
        shapes=shapes,
        blobs=blobs,
        learns=("weight", "bias"),
        macs=macs,
    )
)
