"""What the loc values of an SSD head stand for, and its background: MultiBoxLoss and DetectionOutput agree.

The one rule to know: `code_type` is CORNER unless the file says otherwise, and the published nets say
CENTER_SIZE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from caffeflow.errors import NetError
from caffeflow.layers.params import count, dims
from caffeflow.layers.spec import Shape
from caffeflow.proto.caffe_pb2 import PriorBoxParameter

CodeKind = Literal["CORNER", "CENTER_SIZE", "CORNER_SIZE"]

_KINDS: dict[int, CodeKind] = {
    PriorBoxParameter.CORNER: "CORNER",
    PriorBoxParameter.CENTER_SIZE: "CENTER_SIZE",
    PriorBoxParameter.CORNER_SIZE: "CORNER_SIZE",
}


@dataclass(frozen=True)
class Coding:
    """How loc values stand for boxes.

    Attributes:
        kind: CORNER: offsets of the corners. CORNER_SIZE: these in sides of the prior. CENTER_SIZE: offsets
            of the centre in sides of the prior, and logarithms of the ratios of the sides.
        variance_in_target: The values are not divided by the prior's variances.
    """

    kind: CodeKind
    variance_in_target: bool = False


def read_coding(code_type: int, *, variance_in_target: bool) -> Coding:
    """Returns the coding that a `code_type` field and its flag stand for."""
    return Coding(_KINDS[code_type], variance_in_target)


def read_background(background_label_id: int) -> int:
    """Returns the background's label as Caffe's int reads the field; negative: there is none."""
    return background_label_id if background_label_id < 1 << 31 else background_label_id - (1 << 32)


def prior_count(priors: Shape) -> int:
    """Returns how many priors a blob holds.

    Raises:
        NetError: It is not such a blob.
    """
    if len(priors) < 3 or priors[1] != 2 or count(priors) != 2 * priors[2] or priors[2] % 4:
        raise NetError(f"the priors must be 1 x 2 x P*4, as PriorBox makes them; found {dims(priors)}")
    return priors[2] // 4


def check_head(name: str, shape: Shape, *, priors: int, values: int) -> None:
    """Raises a NetError unless a head has `values` values for each prior."""
    expected, found = priors * values, count(shape[1:])
    if shape[1:2] != (found,):
        raise NetError(
            f"bottom {name} must be flat, N x {expected}; found {dims(shape)}; add Permute and Flatten"
        )
    if found == expected:
        return
    per_prior = f", which is enough for {found // values}" if found % values == 0 else ""
    raise NetError(
        f"the number of priors must match the {name} head: {priors} priors x {values} values need {expected}"
        f" channels, found {found}{per_prior}; in each head num_output must be {values} x the boxes that its"
        " PriorBox makes at one place (min_size, max_size, aspect_ratio, flip), and num_classes the same"
        " everywhere"
    )
