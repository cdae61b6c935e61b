"""ArgMax: where the `top_k` largest values are, or the values themselves; indices are floats.

What is Caffe's own here:
  * without `axis` all axes but the first are one, and the top is [N, 1 or 2, top_k, 1…] with at least three
    axes: indices, then values with out_max_val;
  * with `axis` the top holds indices, or with out_max_val values in their place;
  * of equal values the larger index comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import canonical_axis, count
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class ArgMaxParams:
    """The settings of ArgMax.

    Attributes:
        axis: None: all axes but the first together.
        values: out_max_val.
    """

    axis: int | None
    top_k: int
    values: bool

    @classmethod
    def read(cls, layer: LayerParameter) -> ArgMaxParams:
        """Reads `argmax_param`."""
        param = layer.argmax_param
        if param.top_k < 1:
            raise NetError("top_k is 0 in argmax_param; it must be at least 1")
        axis = param.axis if param.HasField("axis") else None
        return cls(axis=axis, top_k=param.top_k, values=param.out_max_val)


def shapes(params: ArgMaxParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the shape of the indices, of the values, or of both."""
    (bottom,) = bottoms
    if not bottom:
        raise NetError("the bottom is a scalar; expected an axis to choose along")
    if params.axis is None:
        among = count(bottom[1:])
        top: Shape = (bottom[0], 2 if params.values else 1, params.top_k, *(1,) * (len(bottom) - 3))
    else:
        axis = canonical_axis(params.axis, len(bottom))
        among = bottom[axis]
        top = (*bottom[:axis], params.top_k, *bottom[axis + 1 :])
    if params.top_k > among:
        raise NetError(f"top_k is {params.top_k}, but there are only {among} values to choose from")
    return [top]


register(LayerSpec(type="ArgMax", read=ArgMaxParams.read, shapes=shapes))
