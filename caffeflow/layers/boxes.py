"""What the loc values of an SSD head stand for, and its background: MultiBoxLoss and DetectionOutput agree.

The one rule to know: `code_type` is CORNER unless the file says otherwise, and the published nets say
CENTER_SIZE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
