"""HingeLoss, MultinomialLogisticLoss and InfogainLoss: scores or probabilities against one label a row.

What is Caffe's own here:
  * HingeLoss wants the label's score above 1 and all others below -1, and divides by the number of rows;
  * MultinomialLogisticLoss takes probabilities, which a Softmax before it has made, none below 1e-20;
  * InfogainLoss takes scores and makes the probabilities itself along `axis`, as BVLC's Caffe does; the SSD
    fork's takes probabilities. A row of its matrix H weighs the logarithm of every class, and H is the third
    bottom or the file `source`. It divides as SoftmaxWithLoss does, by VALID unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from caffeflow.errors import NetError
from caffeflow.layers.losses import (
    Normalization,
    check_first_dimension,
    check_label_count,
    read_ignore_label,
    read_normalization,
)
from caffeflow.layers.params import canonical_axis, count, dims
from caffeflow.layers.spec import LayerSpec, Shape, no_params, register
from caffeflow.proto.caffe_pb2 import HingeLossParameter, LayerParameter

Norm = Literal["L1", "L2"]


@dataclass(frozen=True, kw_only=True)
class HingeParams:
    """The settings of HingeLoss."""

    norm: Norm

    @classmethod
    def read(cls, layer: LayerParameter) -> HingeParams:
        """Reads `hinge_loss_param`."""
        return cls(norm="L2" if layer.hinge_loss_param.norm == HingeLossParameter.L2 else "L1")


def one_label_shapes(_params: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns a scalar, of scores and one label a row."""
    scores, labels = bottoms
    check_first_dimension(bottoms)
    if not labels or count(labels[1:]) != 1:
        raise NetError(f"there must be one label a row; found scores {dims(scores)}, labels {dims(labels)}")
    return [()]


register(
    LayerSpec(
        type="HingeLoss",
        bottoms=2,
        read=HingeParams.read,
        shapes=one_label_shapes,
        default_loss_weight=1.0,
        auto_tops=True,
    )
)
register(
    LayerSpec(
        type="MultinomialLogisticLoss",
        bottoms=2,
        read=no_params,
        shapes=one_label_shapes,
        default_loss_weight=1.0,
        auto_tops=True,
    )
)


@dataclass(frozen=True, kw_only=True)
class InfogainParams:
    """The settings of InfogainLoss.

    Attributes:
        source: The file of the matrix; "": it is the third bottom.
        ignore_label: Positions with this label count for nothing; None: there is no such label.
        tops: 2 where the probabilities are a top too.
    """

    axis: int
    source: str
    normalization: Normalization
    ignore_label: int | None
    tops: int

    @classmethod
    def read(cls, layer: LayerParameter) -> InfogainParams:
        """Reads `infogain_loss_param` and `loss_param`."""
        param = layer.infogain_loss_param
        if layer.loss_param.HasField("normalize"):
            raise NetError("loss_param has normalize, which InfogainLoss refuses; give normalization")
        if len(layer.bottom) == 2 and not param.source:
            raise NetError("there is no matrix: give source in infogain_loss_param, or a third bottom")
        return cls(
            axis=param.axis,
            source="" if len(layer.bottom) > 2 else param.source,
            normalization=read_normalization(layer, default="VALID"),
            ignore_label=read_ignore_label(layer),
            tops=len(layer.top),
        )


def check_matrix(shape: Shape, classes: int) -> None:
    """Raises a NetError unless a matrix has a row and a column for each class."""
    if count(shape) != classes**2:
        raise NetError(
            f"the matrix must have {classes} x {classes} values, a row for each class; found {dims(shape)}"
        )


def infogain_shapes(params: InfogainParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns a scalar, and the scores' shape where the probabilities are a top."""
    scores = bottoms[0]
    check_first_dimension(bottoms)
    check_label_count(bottoms, params.axis)
    if len(bottoms) > 2:
        check_matrix(bottoms[2], scores[canonical_axis(params.axis, len(scores))])
    return [(), scores][: max(params.tops, 1)]


register(
    LayerSpec(
        type="InfogainLoss",
        bottoms=(2, 3),
        tops=(1, 2),
        read=InfogainParams.read,
        shapes=infogain_shapes,
        settings=("loss_param",),
        default_loss_weight=1.0,
        auto_tops=True,
        note="takes scores, as BVLC's Caffe; the SSD fork's takes probabilities",
    )
)
