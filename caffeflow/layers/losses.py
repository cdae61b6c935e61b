"""Losses: scalars that training brings down.

What is Caffe's own here:
  * the divisor is a mode: VALID counts the positions that are not ignored, FULL all of them, BATCH_SIZE
    the rows, NONE is 1; and it is never below 1;
  * SoftmaxWithLoss divides by VALID unless told otherwise, so an N x C x H x W map is averaged over N*H*W;
    SigmoidCrossEntropyLoss divides by BATCH_SIZE;
  * EuclideanLoss divides by twice the rows, and both its bottoms get gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from caffeflow.errors import NetError
from caffeflow.layers.params import canonical_axis, count, dims
from caffeflow.layers.spec import LayerSpec, Shape, no_params, register
from caffeflow.proto.caffe_pb2 import LayerParameter, LossParameter

Normalization = Literal["FULL", "VALID", "BATCH_SIZE", "NONE"]

_MODES: dict[int, Normalization] = {
    LossParameter.FULL: "FULL",
    LossParameter.VALID: "VALID",
    LossParameter.BATCH_SIZE: "BATCH_SIZE",
    LossParameter.NONE: "NONE",
}


@dataclass(frozen=True, kw_only=True)
class SoftmaxLossParams:
    """The settings of SoftmaxWithLoss.

    Attributes:
        ignore_label: Positions with this label count for nothing; None: there is no such label.
        tops: 2 where the probabilities are a top too.
    """

    axis: int
    normalization: Normalization
    ignore_label: int | None
    tops: int

    @classmethod
    def read(cls, layer: LayerParameter) -> SoftmaxLossParams:
        """Reads `loss_param` and `softmax_param`."""
        return cls(
            axis=layer.softmax_param.axis,
            normalization=read_normalization(layer, default="VALID"),
            ignore_label=read_ignore_label(layer),
            tops=len(layer.top),
        )


def read_normalization(layer: LayerParameter, *, default: Normalization) -> Normalization:
    """Returns the divisor's mode: `normalization`, else the older `normalize`, else the default."""
    param = layer.loss_param
    if param.HasField("normalization"):
        return _MODES[param.normalization]
    if param.HasField("normalize"):
        return "VALID" if param.normalize else "BATCH_SIZE"
    return default


def read_ignore_label(layer: LayerParameter) -> int | None:
    """Returns the label that counts for nothing, or None."""
    return layer.loss_param.ignore_label if layer.loss_param.HasField("ignore_label") else None


def check_first_dimension(bottoms: Sequence[Shape]) -> None:
    """Raises a NetError if scores and labels have different numbers of rows."""
    data, label = bottoms[0], bottoms[1]
    if data[:1] != label[:1]:
        raise NetError(
            "the data and label should have the same first dimension;"
            f" found data {dims(data)} and label {dims(label)}"
        )


def check_label_count(bottoms: Sequence[Shape], axis: int) -> None:
    """Raises a NetError unless there is one label for each position off the class axis."""
    data, label = bottoms[0], bottoms[1]
    axis = canonical_axis(axis, len(data))
    expected = count(data[:axis]) * count(data[axis + 1 :])
    if count(label) != expected:
        raise NetError(
            f"number of labels must match number of predictions: scores {dims(data)} with classes on axis"
            f" {axis} need {expected} labels, found {count(label)} ({dims(label)})"
        )


def softmax_loss_shapes(params: SoftmaxLossParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns a scalar, and the scores' shape where the probabilities are a top."""
    check_first_dimension(bottoms)
    check_label_count(bottoms, params.axis)
    return [(), bottoms[0]][: max(params.tops, 1)]


register(
    LayerSpec(
        type="SoftmaxWithLoss",
        bottoms=2,
        tops=(1, 2),
        read=SoftmaxLossParams.read,
        shapes=softmax_loss_shapes,
        settings=("softmax_param", "loss_param"),
        default_loss_weight=1.0,
        auto_tops=True,
    )
)


@dataclass(frozen=True, kw_only=True)
class SigmoidLossParams:
    """The settings of SigmoidCrossEntropyLoss.

    Attributes:
        ignore_label: Positions whose target, truncated, is this count for nothing; None: no such label.
    """

    normalization: Normalization
    ignore_label: int | None

    @classmethod
    def read(cls, layer: LayerParameter) -> SigmoidLossParams:
        """Reads `loss_param`."""
        return cls(
            normalization=read_normalization(layer, default="BATCH_SIZE"),
            ignore_label=read_ignore_label(layer),
        )


def equal_count_shapes(_params: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns a scalar, of two bottoms with as many rows and elements."""
    check_first_dimension(bottoms)
    if count(bottoms[0]) != count(bottoms[1]):
        raise NetError(
            f"the bottoms must have the same count; found {dims(bottoms[0])} and {dims(bottoms[1])}"
        )
    return [()]


register(
    LayerSpec(
        type="SigmoidCrossEntropyLoss",
        bottoms=2,
        read=SigmoidLossParams.read,
        shapes=equal_count_shapes,
        settings=("loss_param",),
        default_loss_weight=1.0,
        auto_tops=True,
    )
)
register(
    LayerSpec(
        type="EuclideanLoss",
        bottoms=2,
        read=no_params,
        shapes=equal_count_shapes,
        default_loss_weight=1.0,
        auto_tops=True,
    )
)
