"""Eltwise: the sum, the product or the maximum of bottoms of one shape.

What is Caffe's own here:
  * coeff belongs to SUM; with PROD it is refused, with MAX it is ignored;
  * MAX gives the gradient to one winner: of equal values the second bottom's beats the first's, and
    further bottoms must be greater.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from caffeflow.errors import NetError
from caffeflow.layers.params import check_same
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import EltwiseParameter, LayerParameter

Operation = Literal["SUM", "PROD", "MAX"]

_OPERATIONS: dict[int, Operation] = {
    EltwiseParameter.SUM: "SUM",
    EltwiseParameter.PROD: "PROD",
    EltwiseParameter.MAX: "MAX",
}


@dataclass(frozen=True, kw_only=True)
class EltwiseParams:
    """The settings of Eltwise.

    Attributes:
        coeff: One factor for each bottom of a sum; empty: all 1.
    """

    operation: Operation
    coeff: tuple[float, ...]

    @classmethod
    def read(cls, layer: LayerParameter) -> EltwiseParams:
        """Reads `eltwise_param`."""
        param = layer.eltwise_param
        operation = _OPERATIONS[param.operation]
        if operation == "PROD" and param.coeff:
            raise NetError("coeff is given with operation: PROD; it belongs to SUM only")
        if param.coeff and len(param.coeff) != len(layer.bottom):
            raise NetError(
                f"{len(param.coeff)} coeff for {len(layer.bottom)} bottoms; give none, or one for each"
            )
        return cls(operation=operation, coeff=tuple(param.coeff) if operation == "SUM" else ())


def shapes(_params: EltwiseParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the common shape of the bottoms."""
    check_same(bottoms)
    return [bottoms[0]]


register(LayerSpec(type="Eltwise", bottoms=(2, None), read=EltwiseParams.read, shapes=shapes))
