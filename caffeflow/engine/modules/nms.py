"""Non-maximum suppression of many lists of boxes at once, with the results of Caffe's loop over each.

The one rule to know: it loops over ranks, so one step looks at the n-th best box of every list. Lists are
ordered by length, so that the lists with an n-th box are the first ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from caffeflow.layers.detection_output import Suppression

_SHRINKS_ABOVE = 0.5


@dataclass(frozen=True)
class Ranked:
    """Boxes in lists, best first.

    Attributes:
        source: For each box, which of the unsorted boxes it is.
        group: The number of its list; rising.
        rank: Its place in that list.
    """

    source: Tensor
    group: Tensor
    rank: Tensor

    def where(self, chosen: Tensor) -> Ranked:
        """Returns the chosen boxes only; ranks stay."""
        return Ranked(self.source[chosen], self.group[chosen], self.rank[chosen])


def rank_by_score(scores: Tensor, groups: Tensor) -> Ranked:
    """Sorts boxes by list, and within it by falling score; equal ones stay in their order.

    Args:
        scores: One a box.
        groups: The number of each box's list.
    """
    order = scores.sort(descending=True, stable=True).indices
    by_group = groups[order].sort(stable=True)
    group = by_group.values
    places = torch.arange(len(group), device=group.device)
    first = torch.searchsorted(group, group)  # the place of the first box of the same list
    return Ranked(order[by_group.indices], group, places - first)


def suppress(boxes: Tensor, ranked: Ranked, rule: Suppression) -> Tensor:
    """Returns which of some ranked boxes stay.

    Args:
        boxes: (M, 4) in the order of `ranked`, whose ranks count from 0 without gaps in each list.
        ranked: The lists that they are in.
        rule: When a box gives way.
    """
    # M: boxes, L: lists, R: boxes of the longest list
    if not len(boxes):
        return torch.zeros(0, dtype=torch.bool, device=boxes.device)
    lengths = torch.unique_consecutive(ranked.group, return_counts=True)[1]
    order = lengths.sort(descending=True, stable=True).indices
    list_of = torch.empty_like(order)
    list_of[order] = torch.arange(len(order), device=boxes.device)
    row = list_of.repeat_interleave(lengths)
    sorted_lengths: list[int] = lengths[order].tolist()
    padded = boxes.new_zeros((4, len(order), sorted_lengths[0]))
    padded[:, row, ranked.rank] = boxes.T
    return _stays(padded, sorted_lengths, rule)[row, ranked.rank]


def _stays(boxes: Tensor, lengths: list[int], rule: Suppression) -> Tensor:
    """Returns which boxes of each list stay; lists fall in length."""
    # boxes: (4, L, R) -> (L, R)
    _, lists, ranks = boxes.shape
    areas = _areas(boxes)
    worst = boxes.new_zeros((lists, ranks))  # overlap with the boxes that stay so far
    threshold = boxes.new_full((lists,), rule.threshold)
    stays = torch.zeros((lists, ranks), dtype=torch.bool, device=boxes.device)
    for rank in range(ranks):
        while lengths[lists - 1] <= rank:
            lists -= 1
        kept = worst[:lists, rank] <= threshold[:lists]
        stays[:lists, rank] = kept
        if rule.eta < 1:
            shrinks = kept & (threshold[:lists] > _SHRINKS_ABOVE)
            threshold[:lists] = torch.where(shrinks, threshold[:lists] * rule.eta, threshold[:lists])
        if rank + 1 == ranks:
            break
        overlap = _overlaps(boxes[:, :lists], areas[:lists], rank).masked_fill_(~kept.unsqueeze(1), 0)
        later = worst[:lists, rank + 1 :]
        torch.maximum(later, overlap, out=later)
    return stays


def _overlaps(boxes: Tensor, areas: Tensor, rank: int) -> Tensor:
    """Returns the overlap of the box at a rank with each later one of its list."""
    # boxes: (4, L, R), areas: (L, R) -> (L, R - rank - 1)
    one, later = boxes[:, :, rank : rank + 1], boxes[:, :, rank + 1 :]
    low, high = torch.maximum(one[:2], later[:2]), torch.minimum(one[2:], later[2:])
    width, height = high.sub_(low).clamp_(min=0)
    shared = width.mul_(height)
    union = areas[:, rank : rank + 1] + areas[:, rank + 1 :]
    is_shared = shared > 0  # false for NaN, which overlaps nothing
    overlap: Tensor = shared.div_(union.sub_(shared)).masked_fill_(~is_shared, 0)
    return overlap


def _areas(boxes: Tensor) -> Tensor:
    xmin, ymin, xmax, ymax = boxes
    is_inverted = (xmax < xmin) | (ymax < ymin)
    area: Tensor = ((xmax - xmin) * (ymax - ymin)).masked_fill_(is_inverted, 0)
    return area
