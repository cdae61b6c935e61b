"""Which priors of an SSD stand for which boxes: ground truth by image, and Caffe's greedy matching.

The one rule to know: everything happens for *groups* at once, tensors with one row a group. A group is an
image, or, where each class predicts boxes of its own and predictions are matched, an image and a class.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from caffeflow.engine.modules.boxes import are_across_border, iou
from caffeflow.errors import DataError
from caffeflow.layers.multibox_loss import Matching, MultiBoxLossParams

UNMATCHED = -1
LEFT_ASIDE = -2
"""The match of a prior that reaches out of the image where such ones are not to be used."""

_LEAST_OVERLAP = 1e-6


@dataclass(frozen=True)
class Truth:
    """The boxes of a batch, by group; rows are padded with boxes of no size, which overlap nothing.

    Attributes:
        boxes: (groups, G, 4).
        labels: (groups, G).
        images: The image of each group; (groups,).
        counts: How many boxes each group has; (groups,).
    """

    boxes: Tensor
    labels: Tensor
    images: Tensor
    counts: Tensor

    def to(self, device: torch.device) -> Truth:
        """Returns the same on a device."""
        return Truth(*(part.to(device) for part in (self.boxes, self.labels, self.images, self.counts)))


def read_truth(rows: Tensor, *, images: int, params: MultiBoxLossParams, layer: str) -> Truth:
    """Returns the boxes that count of (item, label, instance, xmin, ymin, xmax, ymax, difficult) rows.

    Rows of item -1 are none, and those of an item beyond the batch belong to no image.

    Raises:
        DataError: A label is the background's, or no class.
    """
    item, label = rows[:, 0].to(torch.int64), rows[:, 1].to(torch.int64)
    _check_labels(item, label, params, layer)
    counted = (item >= 0) & (item < images)
    if not params.matching.with_difficult:
        counted &= rows[:, 7] == 0
    rows, item, label = rows[counted], item[counted], label[counted]
    if params.share_location or params.matching.by_priors:
        return _padded(rows[:, 3:7], label, group=item, images=torch.arange(images))
    keys, group = torch.unique(item * params.num_classes + label, return_inverse=True)
    return _padded(rows[:, 3:7], label, group=group, images=keys // params.num_classes)


def _check_labels(item: Tensor, label: Tensor, params: MultiBoxLossParams, layer: str) -> None:
    is_background = label == params.background
    is_class = label >= 0
    if params.mining or not params.is_agnostic:
        is_class &= label < params.num_classes
    wrong = (item != -1) & (is_background | ~is_class)
    if not wrong.any():
        return
    place = int(wrong.nonzero()[0])
    found = f"layer '{layer}': image {int(item[place])} of the batch has a box with label {int(label[place])}"
    if is_background[place]:
        raise DataError(
            f"{found}, the background's (background_label_id); correct the label map or the boxes"
        )
    raise DataError(
        f"{found}, which is not among its {params.num_classes} classes (0 to {params.num_classes - 1});"
        " correct num_classes or the label map"
    )


def _padded(boxes: Tensor, labels: Tensor, *, group: Tensor, images: Tensor) -> Truth:
    """Sorts rows into groups; within one they keep their order."""
    order = torch.argsort(group, stable=True)
    group = group[order]
    counts = torch.bincount(group, minlength=len(images))
    place = torch.arange(len(group)) - (counts.cumsum(0) - counts)[group]
    width = max(int(counts.max()), 1) if len(counts) else 1
    padded = boxes.new_zeros(len(images), width, 4)
    padded[group, place] = boxes[order]
    padded_labels = labels.new_zeros(len(images), width)
    padded_labels[group, place] = labels[order]
    return Truth(padded, padded_labels, images, counts)


@dataclass(frozen=True)
class Matches:
    """What became of each prior.

    Attributes:
        index: Its box among the group's, or UNMATCHED, or LEFT_ASIDE; (groups, P).
        overlap: The largest overlap with any box of the group; (groups, P).
    """

    index: Tensor
    overlap: Tensor


def match(truth: Tensor, boxes: Tensor, settings: Matching) -> Matches:
    """Matches priors or predictions with the boxes of their group.

    Args:
        truth: (groups, G, 4).
        boxes: (P, 4), or (groups, P, 4) where each group has its own.
        settings: The rules.
    """
    overlaps = iou(truth, boxes)  # (groups, G, P)
    overlaps.masked_fill_(overlaps <= _LEAST_OVERLAP, 0)
    outside = are_across_border(boxes) if settings.within_image else None
    if outside is not None:
        overlaps.masked_fill_(outside.unsqueeze(-2), 0)
    overlap, nearest = overlaps.max(1)  # the first of equal ones
    index = _match_greedily(overlaps)
    if not settings.is_bipartite:
        is_enough = (index == UNMATCHED) & (overlap > 0) & (overlap >= settings.threshold)
        index = torch.where(is_enough, nearest, index)
    if outside is not None:
        index.masked_fill_(outside, LEFT_ASIDE)
    return Matches(index, overlap)


def _match_greedily(overlaps: Tensor) -> Tensor:
    """Gives each box one prior: Caffe takes the largest overlap of all, over and over.

    Pairs are in a strict order: larger overlap, then lower prior, then earlier box. A pair that comes first
    both among its prior's and among its box's is taken sooner or later, whatever else is; so each round
    takes all of these, and the result is that of taking them one by one.

    Args:
        overlaps: (groups, G, P); written over.
    """
    groups, width, priors = overlaps.shape
    index = torch.full((groups, priors), UNMATCHED, device=overlaps.device)
    while True:
        best, prior = overlaps.max(2)  # of each box; the lowest of equal priors
        rivals = overlaps.gather(2, prior.unsqueeze(1).expand(groups, width, width))
        winner = rivals.argmax(1)  # of each of these priors; the earliest of equal boxes
        taken = (best > 0) & (winner == torch.arange(width, device=overlaps.device))
        group, box = taken.nonzero(as_tuple=True)
        if not len(group):
            return index
        prior = prior[group, box]
        index[group, prior] = box
        overlaps[group, box] = 0
        overlaps[group, :, prior] = 0


@dataclass(frozen=True)
class Pairs:
    """Matched priors with their boxes, in the order of group and prior.

    Attributes:
        image: (pairs,).
        prior: (pairs,).
        label: The box's; (pairs,).
        box: (pairs, 4).
    """

    image: Tensor
    prior: Tensor
    label: Tensor
    box: Tensor

    def __len__(self) -> int:
        return len(self.image)

    def only(self, kept: Tensor) -> Pairs:
        """Returns some of the pairs."""
        return Pairs(self.image[kept], self.prior[kept], self.label[kept], self.box[kept])


def matched_pairs(matches: Matches, truth: Truth) -> Pairs:
    """Lists what is matched."""
    group, prior = (matches.index >= 0).nonzero(as_tuple=True)
    box = matches.index[group, prior]
    return Pairs(truth.images[group], prior, truth.labels[group, box], truth.boxes[group, box])
