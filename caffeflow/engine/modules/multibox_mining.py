"""Which priors cost confidence: the unmatched ones with the largest losses, or the largest of all.

Priors with equal losses come in their own order, where Caffe's sort leaves it open; a loss of NaN counts as
the largest, so that it shows in the result.
"""

from __future__ import annotations

import torch
from torch import Tensor

from caffeflow.engine.modules.boxes import iou, sizes
from caffeflow.engine.modules.multibox_matching import UNMATCHED, Matches
from caffeflow.layers.multibox_loss import Mining, Suppression

_LEAST_SIZE = 1e-5
_BLOCK = 512
"""How many boxes are compared with each other at a time, which bounds the memory."""


def mine(losses: Tensor, matches: Matches, *, counts: Tensor, boxes: Tensor, settings: Mining) -> Tensor:
    """Returns which priors are chosen; (images, P).

    Args:
        losses: Of each prior; (images, P).
        matches: Of each image.
        counts: How many boxes each image has; from one without any, nothing is chosen.
        boxes: What suppression compares; (P, 4) or (images, P, 4).
        settings: The rules.
    """
    if settings.sample_size is not None:
        eligible = (counts > 0).unsqueeze(1).expand_as(losses)
        wanted = torch.full_like(counts, settings.sample_size)
    else:
        eligible = (matches.index == UNMATCHED) & (matches.overlap < settings.overlap)
        found = (matches.index >= 0).sum(1).to(torch.float32)
        wanted = (found * settings.negatives_per_match).to(torch.int64)
    if settings.suppression is not None:
        return _largest_apart(losses, eligible, wanted, boxes, settings.suppression)
    return _largest(losses, eligible, torch.minimum(wanted, eligible.sum(1)))


def _largest(losses: Tensor, eligible: Tensor, wanted: Tensor) -> Tensor:
    """Chooses the largest losses, as many as wanted of each image."""
    ranked = losses.masked_fill(~eligible, -torch.inf)
    order = torch.sort(ranked, dim=1, descending=True, stable=True).indices
    ranks = torch.arange(losses.shape[1], device=losses.device)
    return torch.zeros_like(eligible).scatter_(1, order, ranks < wanted.unsqueeze(1))


def _largest_apart(
    losses: Tensor, eligible: Tensor, wanted: Tensor, boxes: Tensor, settings: Suppression
) -> Tensor:
    """Chooses the largest losses among boxes that do not overlap much, image by image."""
    chosen = torch.zeros_like(eligible)
    boxes = boxes.expand(*losses.shape, 4)
    for image, number in enumerate(wanted.tolist()):
        (priors,) = eligible[image].nonzero(as_tuple=True)
        order = torch.sort(losses[image, priors], descending=True, stable=True).indices
        priors = priors[order[: settings.top_k] if settings.top_k >= 0 else order]
        priors = priors[~(sizes(boxes[image, priors]) < _LEAST_SIZE)]
        kept = _apart(boxes[image, priors], settings.threshold, number)
        chosen[image, priors[kept]] = True
    return chosen


def _apart(boxes: Tensor, threshold: float, wanted: int) -> Tensor:
    """Returns the first `wanted` boxes of those that overlap no earlier kept one by more than a threshold."""
    kept = torch.zeros(0, dtype=torch.int64, device=boxes.device)
    for start in range(0, len(boxes), _BLOCK):
        if len(kept) >= wanted:
            break
        block = boxes[start : start + _BLOCK]
        free = ~(iou(block, boxes[kept]) > threshold).any(1)
        above = (iou(block, block) > threshold).triu(1)  # [earlier, later]
        kept = torch.cat((kept, start + _settle(free, above).nonzero().flatten()))
    return kept[: max(wanted, 0)]


def _settle(free: Tensor, above: Tensor) -> Tensor:
    """Suppresses in rounds; in each at least one more box from the front is as one by one leaves it."""
    keep = free
    while True:
        after = free & ~(above & keep.unsqueeze(1)).any(0)
        if torch.equal(after, keep):
            return keep
        keep = after
