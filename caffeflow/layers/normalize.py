"""Normalize: the channels of every place scaled to length 1, then by learned factors; SSD fork only.

What is Caffe's own here:
  * its settings are called `norm_param`, not `normalize_param`;
  * the length is over channels, height and width together unless `across_spatial` is false, and one factor
    serves all channels unless `channel_shared` is false; SSD's conv4_3_norm sets both false;
  * the factors begin at 1 unless there is a filler, and eps is added under the root;
  * the bottom's gradient is the derivative only while all factors are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import constant, dims, filler
from caffeflow.layers.spec import Blob, LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import FillerParameter, LayerParameter


@dataclass(frozen=True, kw_only=True)
class NormalizeParams:
    """The settings of Normalize.

    Attributes:
        across_spatial: One length an image; otherwise one for each position.
        channel_shared: One factor; otherwise one for each channel.
        eps: Added to the sum of squares.
        filler: How the factors begin.
    """

    across_spatial: bool
    channel_shared: bool
    eps: float
    filler: FillerParameter

    @classmethod
    def read(cls, layer: LayerParameter) -> NormalizeParams:
        """Reads `norm_param`."""
        param = layer.norm_param
        return cls(
            across_spatial=param.across_spatial,
            channel_shared=param.channel_shared,
            eps=param.eps,
            filler=filler(param, "scale_filler") or constant(1.0),
        )


def normalize_shapes(_params: NormalizeParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the bottom's shape, which must have channels."""
    (bottom,) = bottoms
    if not 2 <= len(bottom) <= 4:
        raise NetError(f"the bottom must have 2 to 4 axes; found {dims(bottom)}")
    return [bottom]


def normalize_blobs(params: NormalizeParams, bottoms: Sequence[Shape]) -> list[Blob]:
    """Returns the factors: one a channel, or a scalar."""
    shape = () if params.channel_shared else (bottoms[0][1],)
    return [Blob(name="scale", shape=shape, filler=params.filler)]


register(
    LayerSpec(
        type="Normalize",
        read=NormalizeParams.read,
        shapes=normalize_shapes,
        blobs=normalize_blobs,
        learns=("scale",),
        settings=("norm_param",),
    )
)
