"""Accuracy on PyTorch, counted by comparing with the true class's score, not by sorting."""

from __future__ import annotations

import torch
from torch import Tensor

from caffeflow.engine.modules.losses import check_labels, class_indices
from caffeflow.engine.modules.registry import LayerModule, Setup, at_least_single, module
from caffeflow.layers.accuracy import AccuracyParams
from caffeflow.layers.params import canonical_axis


@module("Accuracy")
class Accuracy(LayerModule):
    """The share of labels with fewer than `top_k` other classes as good or better."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: AccuracyParams = setup.params
        self.axis = canonical_axis(self.params.axis, len(setup.bottoms[0]))
        self.layer_name = setup.layer.name

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Returns the accuracy, and that of each class where it is a top."""
        # scores: (outer…, classes, inner…), labels: one for each position -> (), (classes,)
        scores = at_least_single(scores.detach())
        classes = scores.shape[self.axis]
        positions = (*scores.shape[: self.axis], *scores.shape[self.axis + 1 :])
        index = class_indices(labels).reshape(positions)
        ignore = self.params.ignore_label
        valid = torch.ones_like(index, dtype=torch.bool) if ignore is None else index != ignore
        check_labels(index, valid, classes, self.layer_name)
        place = torch.where(valid, index, 0).unsqueeze(self.axis)
        rivals = (scores >= scores.gather(self.axis, place)).scatter(self.axis, place, False)
        right = (rivals.sum(self.axis) < self.params.top_k) & valid
        hits, seen = right.flatten().to(scores.dtype), valid.flatten().to(scores.dtype)
        accuracy = hits.sum() / seen.sum().clamp(min=1)
        if self.params.tops < 2:
            return accuracy
        none = torch.zeros(classes, dtype=scores.dtype, device=scores.device)
        class_hits, class_seen = (none.scatter_add(0, place.flatten(), each) for each in (hits, seen))
        return accuracy, class_hits / class_seen.clamp(min=1)
