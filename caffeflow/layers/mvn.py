"""MVN: each plane less its mean and over its standard deviation; or each image, with `across_channels`.

What is Caffe's own here:
  * eps is added to the deviation, not under the root, and the variance is the biased one;
  * the top always has four axes, as the layer sees its bottom;
  * the gradient takes the deviation and eps for one number, which is the derivative while eps is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.layers.params import as_four
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class MVNParams:
    """The settings of MVN.

    Attributes:
        divides: normalize_variance; otherwise only the mean is taken away.
    """

    divides: bool
    across_channels: bool
    eps: float

    @classmethod
    def read(cls, layer: LayerParameter) -> MVNParams:
        """Reads `mvn_param`."""
        param = layer.mvn_param
        return cls(divides=param.normalize_variance, across_channels=param.across_channels, eps=param.eps)

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of a blob of four that are normalised together."""
        return (1, 2, 3) if self.across_channels else (2, 3)


def shapes(_params: MVNParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the bottom's shape with four axes."""
    return [as_four(bottoms[0])]


register(LayerSpec(type="MVN", read=MVNParams.read, shapes=shapes, may_be_in_place=True))
