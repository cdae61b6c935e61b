"""BatchNorm: each channel to mean 0 and variance 1; Caffe's has no scale and shift, Scale adds them.

What is Caffe's own here:
  * the caffemodel holds sums: a mean and a variance per channel, and the factor by which both are too large;
    all three begin at 0, and each training forward multiplies them by moving_average_fraction and adds;
  * the variance added is the unbiased one, the variance divided by is the biased one;
  * stored statistics are used in TEST, or where use_global_stats says so;
  * the three blobs are not for the solver: a `param` with lr_mult other than 0 is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import dims
from caffeflow.layers.spec import Blob, LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class BatchNormParams:
    """The settings of BatchNorm.

    Attributes:
        use_global_stats: None where the phase decides.
        moving_average_fraction: By how much the stored sums are multiplied at each training forward.
    """

    use_global_stats: bool | None
    moving_average_fraction: float
    eps: float

    @classmethod
    def read(cls, layer: LayerParameter) -> BatchNormParams:
        """Reads `batch_norm_param`."""
        param = layer.batch_norm_param
        for given in layer.param:
            if given.lr_mult != 0:
                raise NetError(
                    f"param has lr_mult {given.lr_mult:g}, but batch normalization statistics are no layer"
                    " parameters; write param { lr_mult: 0 }, or nothing"
                )
        return cls(
            use_global_stats=param.use_global_stats if param.HasField("use_global_stats") else None,
            moving_average_fraction=param.moving_average_fraction,
            eps=param.eps,
        )

    def uses_stored(self, phase: str) -> bool:
        """Returns whether the stored statistics are used in a phase, not the batch's."""
        return phase == "TEST" if self.use_global_stats is None else self.use_global_stats


def shapes(_params: BatchNormParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the bottom's shape."""
    if len(bottoms[0]) < 2:
        raise NetError(f"the bottom must have at least 2 axes; found {dims(bottoms[0])}")
    return [bottoms[0]]


def blobs(_params: BatchNormParams, bottoms: Sequence[Shape]) -> list[Blob]:
    """Returns the summed means, the summed variances and the factor."""
    channels = bottoms[0][1]
    return [
        Blob(name="mean", shape=(channels,), trained=False),
        Blob(name="variance", shape=(channels,), trained=False),
        Blob(name="factor", shape=(1,), trained=False),
    ]


register(
    LayerSpec(
        type="BatchNorm",
        read=BatchNormParams.read,
        shapes=shapes,
        blobs=blobs,
        learns=("mean", "variance", "factor"),
        may_be_in_place=True,
    )
)
