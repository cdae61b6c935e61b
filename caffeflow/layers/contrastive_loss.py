"""ContrastiveLoss: brings pairs together where the third bottom is not 0, and pushes the others apart.

What is Caffe's own here:
  * a pair of one kind costs its squared distance, any other the square of what lacks to `margin`, and all
    is divided by twice the number of rows;
  * with `legacy_version` it is the squared distance that is taken from the margin, and nothing is squared;
  * the gradient that pushes apart divides by the distance and 1e-4 more, so that it is finite at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import count, dims
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class ContrastiveParams:
    """The settings of ContrastiveLoss.

    Attributes:
        is_legacy: Whether the margin is one of squared distances.
    """

    margin: float
    is_legacy: bool

    @classmethod
    def read(cls, layer: LayerParameter) -> ContrastiveParams:
        """Reads `contrastive_loss_param`."""
        param = layer.contrastive_loss_param
        return cls(margin=param.margin, is_legacy=param.legacy_version)


def shapes(_params: ContrastiveParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns a scalar, of two bottoms of vectors and one of single values."""
    first, second, kinds = bottoms
    for bottom in (first, second):
        if len(bottom) < 2 or count(bottom[2:]) != 1:
            raise NetError(f"the first two bottoms must be vectors, N x C; found {dims(bottom)}")
    if first[:2] != second[:2]:
        raise NetError(f"the vectors must be as many and as long; found {dims(first)} and {dims(second)}")
    if kinds[:1] != first[:1] or count(kinds[1:]) != 1:
        raise NetError(
            f"the third bottom must have one value for each of {first[0]} rows; found {dims(kinds)}"
        )
    return [()]


register(
    LayerSpec(
        type="ContrastiveLoss",
        bottoms=3,
        read=ContrastiveParams.read,
        shapes=shapes,
        default_loss_weight=1.0,
        auto_tops=True,
    )
)
