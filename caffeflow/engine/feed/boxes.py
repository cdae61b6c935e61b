"""Arithmetic of boxes (..., 4) as SSD does it: xmin, ymin, xmax, ymax as fractions, in single precision.

The one rule to know: a box may carry an area of its own (bbox_util.cpp, `size`). What was cut or clipped
carries the area that it had then, and it stays when the box is moved afterwards; NaN stands for none.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
Areas = NDArray[np.float32]
Flags = NDArray[np.bool_]

UNIT: Final[Boxes] = np.array([0, 0, 1, 1], np.float32)
_XMIN, _YMIN, _XMAX, _YMAX = range(4)


def areas(boxes: Boxes) -> Areas:
    """Returns width times height, 0 where a box is inside out."""
    sides = boxes[..., 2:] - boxes[..., :2]
    products: Areas = sides[..., 0] * sides[..., 1]
    return np.where((sides < 0).any(axis=-1), np.float32(0), products)


def areas_or_own(boxes: Boxes, own: Areas) -> Areas:
    """Returns the areas that boxes carry, or theirs by measure."""
    # Caffe: a box that is inside out has none, whatever it carries (bbox_util.cpp).
    is_measured = np.isnan(own) | (boxes[..., 2:] < boxes[..., :2]).any(axis=-1)
    found: Areas = np.where(is_measured, areas(boxes), own)
    return found


def shared_areas(one: Boxes, other: Boxes) -> Areas:
    """Returns the areas of what boxes share with others, 0 where they only touch."""
    width = np.minimum(one[..., _XMAX], other[..., _XMAX]) - np.maximum(one[..., _XMIN], other[..., _XMIN])
    height = np.minimum(one[..., _YMAX], other[..., _YMAX]) - np.maximum(one[..., _YMIN], other[..., _YMIN])
    shared: Areas = np.maximum(width, 0) * np.maximum(height, 0)
    return shared


def overlaps(shared: Areas, one: Areas, other: Areas) -> Areas:
    """Returns the shared areas over those of both together (Jaccard), 0 where nothing is shared."""
    found: Areas = np.divide(shared, one + other - shared, out=np.zeros_like(shared), where=shared > 0)
    return found


def coverages(shared: Areas, whole: Areas) -> Areas:
    """Returns the shared areas over the whole ones, 0 where nothing is shared."""
    whole = np.broadcast_to(whole, shared.shape)
    found: Areas = np.divide(shared, whole, out=np.zeros_like(shared), where=shared > 0)
    return found


def fractions(rectangle: tuple[int, int, int, int], size: tuple[int, int]) -> Boxes:
    """Returns a rectangle of pixels (left, top, right, bottom) as fractions of (height, width)."""
    corners: Boxes = np.array(rectangle, np.float32)
    sides: Boxes = np.array([size[1], size[0], size[1], size[0]], np.float32)
    return corners / sides


def clipped(boxes: Boxes) -> Boxes:
    """Returns the boxes with each coordinate within 0 and 1."""
    # Caffe: max(min(x, 1), 0), which makes 0 of what is no number (bbox_util.cpp).
    return np.maximum(np.minimum(boxes, np.float32(1)), np.float32(0))


def projected(boxes: Boxes, frame: Boxes) -> tuple[Boxes, Flags]:
    """Returns boxes as fractions of a frame, clipped to it, and which of them it shows.

    A box that only touches the frame is not shown, nor one of which nothing but a line remains.
    """
    is_apart = (boxes[:, :2] >= frame[2:]).any(axis=1) | (boxes[:, 2:] <= frame[:2]).any(axis=1)
    corner, sides = frame[:2], frame[2:] - frame[:2]
    placed = clipped((boxes.reshape(-1, 2, 2) - corner).reshape(-1, 4) / np.concatenate([sides, sides]))
    return placed, ~is_apart & (areas(placed) > 0)
