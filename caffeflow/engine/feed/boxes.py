"""Arithmetic of boxes (..., 4) as SSD does it: xmin, ymin, xmax, ymax as fractions, in single precision."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
Areas = NDArray[np.float32]
Flags = NDArray[np.bool_]

_ZERO: Final = np.float32(0)
_ONE: Final = np.float32(1)
_TINY: Final = np.float32(np.finfo(np.float32).tiny)  # instead of 0 under what is 0 anyway


def areas(boxes: Boxes) -> Areas:
    """Returns width times height, 0 where a box is inside out."""
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    found: Areas = np.maximum(width, _ZERO) * np.maximum(height, _ZERO)
    return found


def shared_areas(one: Boxes, other: Boxes) -> Areas:
    """Returns the areas of what boxes share with others, 0 where they only touch."""
    width = np.minimum(one[..., 2], other[..., 2]) - np.maximum(one[..., 0], other[..., 0])
    height = np.minimum(one[..., 3], other[..., 3]) - np.maximum(one[..., 1], other[..., 1])
    found: Areas = np.maximum(width, _ZERO) * np.maximum(height, _ZERO)
    return found


def overlaps(shared: Areas, one: Areas, other: Areas) -> Areas:
    """Returns the shared areas over those of both together (Jaccard), 0 where nothing is shared."""
    found: Areas = shared / np.maximum(one + other - shared, _TINY)
    return found


def coverages(shared: Areas, whole: Areas) -> Areas:
    """Returns the shared areas over the whole ones, 0 where nothing is shared."""
    return np.divide(shared, np.maximum(whole, _TINY), dtype=np.float32)


def fractions(rectangle: tuple[int, int, int, int], size: tuple[int, int]) -> Boxes:
    """Returns a rectangle of pixels (left, top, right, bottom) as fractions of (height, width)."""
    corners: Boxes = np.array(rectangle, np.float32)
    sides: Boxes = np.array([size[1], size[0], size[1], size[0]], np.float32)
    return corners / sides


def clipped(boxes: Boxes) -> Boxes:
    """Returns the boxes with each coordinate within 0 and 1."""
    return np.maximum(np.minimum(boxes, _ONE), _ZERO)


def projected(boxes: Boxes, frame: Boxes) -> tuple[Boxes, Flags]:
    """Returns boxes as fractions of a frame, clipped to it, and which of them it shows.

    A box that only touches the frame is not shown, nor one of which nothing but a line remains.
    """
    # Caffe: looks first whether they touch (bbox_util.cpp); clipping leaves no area of those either.
    corner = frame[:2]
    placed = clipped((boxes.reshape(-1, 2, 2) - corner) / (frame[2:] - corner))
    is_shown = np.asarray((placed[:, 1] > placed[:, 0]).all(axis=1))
    return placed.reshape(-1, 4), is_shown
