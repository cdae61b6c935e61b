"""Arithmetic of boxes as Caffe's SSD fork does it: overlaps, clipping, codes of boxes relative to priors.

Boxes lie along the last axis as (xmin, ymin, xmax, ymax), as fractions of the image unless a function says
otherwise; all else broadcasts, on any device. The order of the operations is Caffe's (`bbox_util.cpp`), so
that float32 gives the same bits where thresholds decide. Where Caffe surprises:
  * a box with xmax < xmin or ymax < ymin has size 0; one with NaN overlaps nothing;
  * in pixels both border pixels count, so sides are 1 longer; and two boxes that do not touch then still
    share one pixel, because Caffe takes their intersection for the box (0, 0, 0, 0).
"""

from __future__ import annotations

import torch
from torch import Tensor

from caffeflow.layers.boxes import Coding


def sizes(boxes: Tensor, *, in_pixels: bool = False) -> Tensor:
    """Returns the areas of boxes."""
    # boxes: (…, 4) -> (…)
    xmin, ymin, xmax, ymax = boxes.unbind(-1)
    width, height = xmax - xmin, ymax - ymin
    is_inverted = (xmax < xmin) | (ymax < ymin)
    area = (width + 1) * (height + 1) if in_pixels else width * height
    return area.masked_fill(is_inverted, 0)


def iou(boxes: Tensor, others: Tensor, *, in_pixels: bool = False) -> Tensor:
    """Returns the overlap of every box with every other one: their intersection over their union."""
    # boxes: (…, A, 4), others: (…, B, 4) -> (…, A, B)
    shared = intersections(boxes, others, in_pixels=in_pixels)
    union = sizes(boxes, in_pixels=in_pixels).unsqueeze(-1) + sizes(others, in_pixels=in_pixels).unsqueeze(-2)
    union -= shared
    is_shared = shared > 0
    return shared.div_(union).masked_fill_(~is_shared, 0)


def coverage(boxes: Tensor, others: Tensor) -> Tensor:
    """Returns which part of every box each of the others covers."""
    # boxes: (…, A, 4), others: (…, B, 4) -> (…, A, B)
    shared = intersections(boxes, others, in_pixels=False)
    is_shared = shared > 0
    return shared.div_(sizes(boxes).unsqueeze(-1)).masked_fill_(~is_shared, 0)


def intersections(boxes: Tensor, others: Tensor, *, in_pixels: bool) -> Tensor:
    """Returns the areas that boxes share; 0 or NaN where they share none."""
    xmin, ymin, xmax, ymax = (side.unsqueeze(-1) for side in _sides_apart(boxes))
    other_xmin, other_ymin, other_xmax, other_ymax = (side.unsqueeze(-2) for side in _sides_apart(others))
    width = torch.minimum(xmax, other_xmax).sub_(torch.maximum(xmin, other_xmin))
    height = torch.minimum(ymax, other_ymax).sub_(torch.maximum(ymin, other_ymin))
    if not in_pixels:
        return width.clamp_(min=0).mul_(height.clamp_(min=0))
    is_apart = (other_xmin > xmax) | (other_xmax < xmin) | (other_ymin > ymax) | (other_ymax < ymin)
    shared = width.add_(1).clamp_(min=0).mul_(height.add_(1).clamp_(min=0))
    return shared.masked_fill_(is_apart, 1)


def _sides_apart(boxes: Tensor) -> Tensor:
    """Returns boxes as (4, …) in memory too: tables of overlaps are filled faster that way."""
    return boxes.movedim(-1, 0).contiguous()


def clip(boxes: Tensor) -> Tensor:
    """Returns the parts of boxes that lie within the image."""
    return boxes.clamp(0, 1)


def are_across_border(boxes: Tensor) -> Tensor:
    """Returns which boxes reach out of the image."""
    # boxes: (…, 4) -> (…)
    return ((boxes < 0) | (boxes > 1)).any(-1)


def scale(boxes: Tensor, *, height: Tensor | float, width: Tensor | float) -> Tensor:
    """Returns boxes in pixels of an image of a size."""
    xmin, ymin, xmax, ymax = boxes.unbind(-1)
    return torch.stack((xmin * width, ymin * height, xmax * width, ymax * height), -1)


def project(source: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Returns boxes in the coordinates of another box, cut to it, and which have an area in there.

    Args:
        source: The box that is the whole image from now on; (…, 4).
        boxes: What is projected; (…, 4). Those outside the source, or that only touch it, stay as they are.
    """
    low, high = source[..., :2], source[..., 2:]
    is_outside = ((boxes[..., :2] >= high) | (boxes[..., 2:] <= low)).any(-1)
    corner, sides = torch.cat((low, low), -1), torch.cat((high - low, high - low), -1)
    projected = clip((boxes - corner) / sides)
    is_inside = ~is_outside & (sizes(projected) > 0)
    return torch.where(is_outside.unsqueeze(-1), boxes, projected), is_inside


def locate(source: Tensor, boxes: Tensor) -> Tensor:
    """Returns where boxes lie in the image, given in the coordinates of another box of it."""
    low, high = source[..., :2], source[..., 2:]
    corner, sides = torch.cat((low, low), -1), torch.cat((high - low, high - low), -1)
    return corner + boxes * sides


def encode(priors: Tensor, variances: Tensor, boxes: Tensor, coding: Coding) -> Tensor:
    """Returns the loc values that stand for boxes; all (…, 4)."""
    if coding.kind == "CORNER":
        codes = boxes - priors
    elif coding.kind == "CORNER_SIZE":
        sides = _sides(priors)
        codes = (boxes - priors) / torch.cat((sides, sides), -1)
    else:
        sides = _sides(priors)
        shifts = (_centres(boxes) - _centres(priors)) / sides
        codes = torch.cat((shifts, torch.log(_sides(boxes) / sides)), -1)
    return codes if coding.variance_in_target else codes / variances


def decode(priors: Tensor, variances: Tensor, codes: Tensor, coding: Coding) -> Tensor:
    """Returns the boxes that loc values stand for; all (…, 4). They may lie outside the image."""
    if not coding.variance_in_target:
        codes = variances * codes
    if coding.kind == "CORNER":
        return priors + codes
    sides = _sides(priors)
    if coding.kind == "CORNER_SIZE":
        return priors + codes * torch.cat((sides, sides), -1)
    centres = codes[..., :2] * sides + _centres(priors)
    halves = torch.exp(codes[..., 2:]) * sides / 2
    return torch.cat((centres - halves, centres + halves), -1)


def _sides(boxes: Tensor) -> Tensor:
    return boxes[..., 2:] - boxes[..., :2]


def _centres(boxes: Tensor) -> Tensor:
    return (boxes[..., :2] + boxes[..., 2:]) / 2
