"""Accuracy: the share of samples whose class is among the best `top_k`.

Caffe: a tie counts against the sample: other classes with the same score come first. The second top is the
accuracy of each class, 0 for a class without samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.losses import check_label_count
from caffeflow.layers.params import canonical_axis
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class AccuracyParams:
    """The settings of Accuracy.

    Attributes:
        ignore_label: Positions with this label count for nothing; None: there is no such label.
        tops: 2 where the accuracy of each class is a top too.
    """

    top_k: int
    axis: int
    ignore_label: int | None
    tops: int

    @classmethod
    def read(cls, layer: LayerParameter) -> AccuracyParams:
        """Reads `accuracy_param`."""
        param = layer.accuracy_param
        if param.top_k < 1:
            raise NetError("top_k is 0 in accuracy_param; it must be at least 1")
        return cls(
            top_k=param.top_k,
            axis=param.axis,
            ignore_label=param.ignore_label if param.HasField("ignore_label") else None,
            tops=len(layer.top),
        )


def shapes(params: AccuracyParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns a scalar, and one value for each class where that is a top."""
    scores = bottoms[0]
    classes = scores[canonical_axis(params.axis, len(scores))]
    if params.top_k > classes:
        raise NetError(f"top_k is {params.top_k}, but there are only {classes} classes")
    check_label_count(bottoms, params.axis)
    return [(), (classes,)][: max(params.tops, 1)]


register(LayerSpec(type="Accuracy", bottoms=2, tops=(1, 2), read=AccuracyParams.read, shapes=shapes))
