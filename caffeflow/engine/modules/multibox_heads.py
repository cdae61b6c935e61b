"""What an SSD predicts, seen as boxes: the bottoms of MultiBoxLoss with an axis for priors."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from caffeflow.engine.modules.boxes import decode
from caffeflow.engine.modules.registry import at_least_single
from caffeflow.errors import DataError
from caffeflow.layers.multibox_loss import MultiBoxLossParams


@dataclass(frozen=True)
class Heads:
    """Predictions, and the priors that they are relative to.

    Attributes:
        loc: (N, P, L, 4), with L loc classes.
        conf: (N, P, num_classes).
        priors: (P, 4).
        variances: (P, 4).
    """

    loc: Tensor
    conf: Tensor
    priors: Tensor
    variances: Tensor

    @property
    def images(self) -> int:
        """The size of the batch, N."""
        return self.loc.shape[0]

    @property
    def width(self) -> int:
        """The number of priors, P."""
        return self.loc.shape[1]


def read_heads(loc: Tensor, conf: Tensor, priors: Tensor, params: MultiBoxLossParams) -> Heads:
    """Returns the first three bottoms with an axis for priors, at least in float32."""
    # loc: (N, P*L*4), conf: (N, P*K), priors: (1, 2, P*4)
    boxes, variances = at_least_single(priors.detach()).reshape(2, -1, 4)
    shape = (loc.shape[0], len(boxes))
    return Heads(
        loc=at_least_single(loc).reshape(*shape, params.loc_classes, 4),
        conf=at_least_single(conf).reshape(*shape, params.num_classes),
        priors=boxes,
        variances=variances,
    )


def predicted_boxes(heads: Heads, params: MultiBoxLossParams, *, images: Tensor, labels: Tensor) -> Tensor:
    """Returns the boxes that some images predict, of one class each; (images, P, 4).

    Args:
        heads: The predictions.
        params: The layer's settings.
        images: Which images; (images,).
        labels: The class for each of them; without meaning where all classes share their boxes.
    """
    loc_class = labels.new_zeros(labels.shape) if params.share_location else labels
    return decode(heads.priors, heads.variances, heads.loc.detach()[images, :, loc_class], params.coding)


def check_priors(heads: Heads, params: MultiBoxLossParams, layer: str) -> None:
    """Raises a DataError for priors that Caffe stops at; on the CPU only, where looking costs nothing."""
    if heads.priors.device.type != "cpu":
        return
    coding = params.coding
    sides = heads.priors[:, 2:] - heads.priors[:, :2]
    if params.decodes and coding.kind != "CORNER" and not (sides > 0).all():
        prior = int((~(sides > 0)).any(1).nonzero()[0])
        raise DataError(
            f"layer '{layer}': prior {prior} has no area ({_corners(heads.priors[prior])}); code_type"
            f" {coding.kind} divides by its sides; correct the sizes in PriorBox"
        )
    divides = coding.kind != "CENTER_SIZE" or coding.variance_in_target
    if divides and not (heads.variances > 0).all():
        prior = int((~(heads.variances > 0)).any(1).nonzero()[0])
        raise DataError(
            f"layer '{layer}': prior {prior} has variances {_corners(heads.variances[prior])}; they must be"
            " positive; correct variance in PriorBox"
        )


def _corners(values: Tensor) -> str:
    return ", ".join(f"{value:g}" for value in values.tolist())
