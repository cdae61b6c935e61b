"""Boxes of a net's frame as pixels of the original image, and how much two boxes overlap (bbox_util.cpp).

A net's frame runs from 0 to 1 over the image as it was resized. Arithmetic is float32. In pixels a box
counts both its edges, so it is one wider and higher than its corners are apart.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.layers.detection_output import ImageResize

Floats = NDArray[np.float32]

_ONE: Final = np.float32(1)


def pixels(boxes: Floats, sizes: Floats, resize: ImageResize | None) -> Floats:
    """Returns boxes in pixels of their images, clipped to them.

    Args:
        boxes: (M, 4), xmin ymin xmax ymax in the net's frame.
        sizes: (M, 2), height and width of the image of each.
        resize: How the images came to the net; None: plainly resized.
    """
    spans = sizes[:, [1, 0, 1, 0]]
    if resize is not None and resize.mode == "FIT_SMALL_SIZE" and resize.scales is not None:
        height, width = resize.scales
        boxes = boxes * np.array([width, height] * 2, np.float32)
        return np.asarray(np.clip(boxes, np.float32(0), spans), np.float32)
    if resize is not None and resize.mode == "FIT_LARGE_SIZE_AND_PAD":
        boxes = _out_of_padding(boxes, sizes, resize)
    return np.asarray(np.clip(boxes, np.float32(0), _ONE) * spans, np.float32)


def overlaps(boxes: Floats, others: Floats, *, in_pixels: bool) -> Floats:
    """Returns intersection over union of each box (M, 4) with each other (G, 4): (M, G)."""
    edge = _ONE if in_pixels else np.float32(0)
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    sides = high - low + edge
    shared = np.where(((high >= low) & (sides > 0)).all(axis=2), sides[..., 0] * sides[..., 1], np.float32(0))
    union = _areas(boxes, edge)[:, None] + _areas(others, edge)[None] - shared
    shares: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return shares


def _areas(boxes: Floats, edge: np.float32) -> Floats:
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = (sides[:, 0] + edge) * (sides[:, 1] + edge)
    return np.where((sides >= 0).all(axis=1), areas, np.float32(0))


def _out_of_padding(boxes: Floats, sizes: Floats, resize: ImageResize) -> Floats:
    """Returns boxes of a padded image in the frame of the image inside it."""
    height, width = np.float32(resize.height), np.float32(resize.width)
    aspects = sizes[:, 1] / sizes[:, 0]
    is_wide = aspects > width / height
    zeros = np.zeros_like(aspects)
    top = np.where(is_wide, (height - width / aspects) / 2, zeros) / height
    left = np.where(is_wide, zeros, (width - height * aspects) / 2) / width
    inset = np.stack([left, top], axis=1)
    span = _ONE - 2 * inset
    corners = boxes.reshape(-1, 2, 2)
    return np.asarray((corners - inset[:, None]) / span[:, None], np.float32).reshape(-1, 4)
