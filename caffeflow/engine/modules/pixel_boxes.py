"""From fractions of a net's input back to pixels of the image, as Caffe's SSD fork outputs boxes.

The one rule to know: an area goes with the corners, for Caffe keeps it from the last step: both border
pixels count where a box was scaled last, and do not where it was cut last.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from caffeflow.engine.modules import boxes as box
from caffeflow.layers.detection_output import ImageResize


@dataclass(frozen=True)
class PixelBoxes:
    """Boxes in pixels of their images: corners (…, 4), and the areas that Caffe keeps for them (…)."""

    corners: Tensor
    areas: Tensor


def to_pixels(boxes: Tensor, images: Tensor, resize: ImageResize | None) -> PixelBoxes:
    """Returns boxes in pixels of the images that they were found in.

    Args:
        boxes: Fractions of the net's input, (M, 4).
        images: Height and width of each box's image, (M, 2).
        resize: How images were brought to the net's size; None: plainly.
    """
    heights, widths = images.to(boxes.dtype).unbind(-1)
    if resize is not None and resize.mode == "FIT_SMALL_SIZE" and resize.scales is not None:
        height, width = resize.scales
        scaled = box.scale(boxes, height=height, width=width)
        limits = torch.stack((widths, heights, widths, heights), -1)
        cut = torch.minimum(scaled, limits).clamp(min=0)
        return PixelBoxes(cut, box.sizes(cut))
    if resize is not None and resize.mode == "FIT_LARGE_SIZE_AND_PAD":
        boxes, _ = box.project(_unpadded(heights, widths, resize), boxes)
    scaled = box.scale(box.clip(boxes), height=heights, width=widths)
    is_in_pixels = (heights > 1) | (widths > 1)
    areas = torch.where(is_in_pixels, box.sizes(scaled, in_pixels=True), box.sizes(scaled))
    return PixelBoxes(scaled, areas)


def _unpadded(heights: Tensor, widths: Tensor, resize: ImageResize) -> Tensor:
    """Returns where in the net's padded input each image lies, (M, 4)."""
    aspects = widths / heights
    is_wide = aspects > resize.width / resize.height
    above = torch.where(is_wide, (resize.height - resize.width / aspects) / 2 / resize.height, 0)
    beside = torch.where(is_wide, 0, (resize.width - resize.height * aspects) / 2 / resize.width)
    return torch.stack((beside, above, 1 - beside, 1 - above), -1)
