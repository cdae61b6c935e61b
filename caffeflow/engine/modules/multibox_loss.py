"""MultiBoxLoss on PyTorch: what to learn from is chosen without gradients, then two terms are summed.

Nothing loops over priors or boxes. Caffe's layer keeps its matches from forward to backward; here they
live for one forward, so that several in a row give what each gives alone.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from caffeflow.engine.modules.losses import divisor
from caffeflow.engine.modules.multibox_heads import Heads, check_priors, predicted_boxes, read_heads
from caffeflow.engine.modules.multibox_matching import (
    UNMATCHED,
    Matches,
    Pairs,
    Truth,
    match,
    matched_pairs,
    read_truth,
)
from caffeflow.engine.modules.multibox_mining import mine
from caffeflow.engine.modules.multibox_terms import (
    box_losses,
    class_losses,
    mined_confidence,
    whole_confidence,
)
from caffeflow.engine.modules.registry import LayerModule, Setup, at_least_single, module
from caffeflow.layers.multibox_loss import Mining, MultiBoxLossParams

_log = logging.getLogger(__name__)


@module("MultiBoxLoss")
class MultiBoxLoss(LayerModule):
    """What an SSD's heads cost."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: MultiBoxLossParams = setup.params
        self.layer_name = setup.layer.name
        for warning in self.params.warnings:
            _log.warning("layer '%s': %s", self.layer_name, warning)

    def forward(self, loc: Tensor, conf: Tensor, priors: Tensor, truth: Tensor) -> Tensor:
        """Returns the loss."""
        # loc: (N, P*L*4), conf: (N, P*K), priors: (1, 2, P*4), truth: (1, 1, G, 8) -> ()
        params, heads = self.params, read_heads(loc, conf, priors, self.params)
        check_priors(heads, params, self.layer_name)
        # The rows are few, and their number decides shapes: sorting them on the CPU costs one transfer.
        rows = at_least_single(truth.detach()).reshape(-1, 8).cpu()
        boxes = read_truth(rows, images=heads.images, params=params, layer=self.layer_name)
        with torch.no_grad():
            pairs, negatives = self._choose(heads, boxes.to(loc.device))
        total = heads.loc.new_zeros(())
        if params.counts_loc:
            total = total + params.loc_weight * box_losses(heads, pairs, params).sum()
        if params.counts_conf and negatives is not None:
            total = total + mined_confidence(heads.conf, pairs, negatives, params)
        elif params.counts_conf:
            total = total + whole_confidence(heads.conf, pairs, params)
        return total / self._divisor(heads, matches=len(pairs))

    def _choose(self, heads: Heads, truth: Truth) -> tuple[Pairs, Tensor | None]:
        """Returns the matched priors, and which others are negatives; None: all."""
        boxes = heads.priors
        if not self.params.matching.by_priors:
            boxes = predicted_boxes(heads, self.params, images=truth.images, labels=truth.labels[:, 0])
        matches = match(truth.boxes, boxes, self.params.matching)
        pairs = matched_pairs(matches, truth)
        if self.params.mining is None:
            return pairs, None
        chosen = self._mine(self.params.mining, heads, truth, matches, pairs)
        if self.params.mining.sample_size is not None:
            pairs = pairs.only(chosen[pairs.image, pairs.prior])
        return pairs, chosen & (matches.index == UNMATCHED)

    def _mine(self, mining: Mining, heads: Heads, truth: Truth, matches: Matches, pairs: Pairs) -> Tensor:
        # Groups are images here: mining needs classes that share their boxes.
        labels = torch.full_like(matches.index, self.params.background)
        labels[pairs.image, pairs.prior] = pairs.label
        losses = class_losses(heads.conf.detach(), labels, self.params)
        if mining.sample_size is not None:
            losses[pairs.image, pairs.prior] += box_losses(heads, pairs, self.params)
        boxes = heads.priors
        if mining.suppression is not None and not mining.suppression.by_priors:
            boxes = predicted_boxes(heads, self.params, images=truth.images, labels=truth.labels[:, 0])
        return mine(losses, matches, counts=truth.counts, boxes=boxes, settings=mining)

    def _divisor(self, heads: Heads, *, matches: int) -> float:
        mode = self.params.normalization
        if mode == "VALID":
            return max(matches, 1)
        positions = heads.images * heads.width
        return float(divisor(mode, rows=heads.images, positions=positions, valid=None))
