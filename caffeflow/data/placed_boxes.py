"""An image's boxes on their way into a record: divided by its size, looked at, and counted if odd.

SSD's tools store every box and warn. A box without an area overlaps nothing: no prior is ever matched to it,
and tests count it as missed, so it is dropped here; one that reaches outside the image is stored as it is:
the transformer clips it. Either is counted and listed. Boxes that are stored already are looked at alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.data.boxes import Annotation, Box

NOT_A_NUMBER: Final = "not a number"
NO_AREA: Final = "no area"
OUTSIDE: Final = "reaches outside"
BOXES_OUTSIDE: Final = "boxes reaching outside"  # what such are counted as, among what is odd but taken

_SLACK: Final = 1e-4  # of the image's side: sums of rounded coordinates miss it by less


@dataclass(frozen=True, slots=True)
class BoxFault:
    """What is wrong with a box; `reason` is to count by, and `detail` says which box it is."""

    reason: str
    detail: str
    is_dropped: bool


@dataclass(frozen=True, slots=True)
class PlacedBoxes:
    """The boxes of one image as they are stored.

    Attributes:
        labels: Of each box.
        corners: (B, 4), float32: xmin, ymin, xmax, ymax as fractions of width and height.
        difficult: Of each box.
        faults: What was wrong with these, and with those that were dropped.
    """

    labels: tuple[int, ...]
    corners: NDArray[np.float32]
    difficult: tuple[bool, ...]
    faults: tuple[BoxFault, ...]


def place_boxes(annotation: Annotation, *, size: tuple[int, int]) -> PlacedBoxes:
    """Returns the boxes of an image of this height and width as they are stored."""
    corners = normalized(annotation, size=size)
    reasons = box_faults(corners)
    kept = [index for index, reason in enumerate(reasons) if reason in (None, OUTSIDE)]
    boxes = annotation.boxes
    return PlacedBoxes(
        labels=tuple(boxes[index].label for index in kept),
        corners=corners[kept],
        difficult=tuple(boxes[index].is_difficult for index in kept),
        faults=tuple(
            BoxFault(reason, _shown(box), is_dropped=reason != OUTSIDE)
            for box, reason in zip(boxes, reasons, strict=True)
            if reason is not None
        ),
    )


def normalized(annotation: Annotation, *, size: tuple[int, int]) -> NDArray[np.float32]:
    """Returns xmin, ymin, xmax, ymax of each box, (B, 4), as fractions in single precision.

    They are divided as SSD's `ReadXMLToAnnotatedDatum` does (util/io.cpp): as they are, without taking one
    off and without clipping.

    Args:
        annotation: The boxes; the size that it names is what they are fractions of.
        size: Height and width of the image, for an annotation that names none.
    """
    height, width = annotation.size or size
    rows = [(box.xmin, box.ymin, box.xmax, box.ymax) for box in annotation.boxes]
    sides: NDArray[np.float32] = np.array([width, height, width, height], np.float32)
    with np.errstate(over="ignore"):  # a number beyond single precision becomes infinite, and is seen then
        corners: NDArray[np.float32] = np.array(rows, np.float32).reshape(-1, 4)
        return np.divide(corners, sides)


def box_faults(corners: NDArray[np.float32]) -> Sequence[str | None]:
    """Returns for each box (B, 4), in fractions, what is wrong with it, or None."""
    if len(corners) == 0:
        return ()
    low, high = corners[:, :2], corners[:, 2:]
    faults: list[str | None] = [None] * len(corners)
    for index in np.flatnonzero((corners < -_SLACK).any(1) | (corners > 1 + _SLACK).any(1)):
        faults[index] = OUTSIDE
    for index in np.flatnonzero((high <= low).any(1)):
        faults[index] = NO_AREA
    for index in np.flatnonzero(~np.isfinite(corners).all(1)):
        faults[index] = NOT_A_NUMBER
    return faults


def box_sides(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns how large boxes (B, 4) are: the square root of each one's share of the image's area."""
    extent = np.maximum(corners[:, 2:] - corners[:, :2], 0)
    sides: NDArray[np.float32] = np.sqrt(extent[:, 0] * extent[:, 1])
    return sides


def _shown(box: Box) -> str:
    corners = ",".join(f"{value:g}" for value in (box.xmin, box.ymin, box.xmax, box.ymax))
    return f"label {box.label} at {corners}"
