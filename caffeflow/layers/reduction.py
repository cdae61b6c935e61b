"""Reduction: all axes from `axis` on become one number: a sum, a sum of absolutes or of squares, or a mean.

Caffe: the axis is 0 unless set, so the top is a scalar and the batch is reduced too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from caffeflow.layers.params import canonical_axis
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter, ReductionParameter

Operation = Literal["SUM", "ASUM", "SUMSQ", "MEAN"]

_OPERATIONS: dict[int, Operation] = {
    ReductionParameter.SUM: "SUM",
    ReductionParameter.ASUM: "ASUM",
    ReductionParameter.SUMSQ: "SUMSQ",
    ReductionParameter.MEAN: "MEAN",
}


@dataclass(frozen=True, kw_only=True)
class ReductionParams:
    """The settings of Reduction."""

    operation: Operation
    axis: int
    coeff: float

    @classmethod
    def read(cls, layer: LayerParameter) -> ReductionParams:
        """Reads `reduction_param`."""
        param = layer.reduction_param
        return cls(operation=_OPERATIONS[param.operation], axis=param.axis, coeff=param.coeff)


def shapes(params: ReductionParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the axes before `axis`."""
    (bottom,) = bottoms
    return [bottom[: canonical_axis(params.axis, len(bottom))]]


register(LayerSpec(type="Reduction", read=ReductionParams.read, shapes=shapes))
