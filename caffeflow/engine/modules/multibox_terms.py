"""The two terms of MultiBoxLoss: what wrong boxes cost, and what wrong classes cost.

The one rule to know: gradients are Caffe's, which are not always those of the value: the bound on a class's
loss and the division by variances do not enter them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.boxes import decode, encode
from caffeflow.engine.modules.losses import LARGEST
from caffeflow.engine.modules.multibox_heads import Heads
from caffeflow.engine.modules.multibox_matching import Pairs
from caffeflow.layers.multibox_loss import MultiBoxLossParams


def box_losses(heads: Heads, pairs: Pairs, params: MultiBoxLossParams) -> Tensor:
    """Returns what the loc values of each matched prior cost; (pairs,)."""
    loc_class = 0 if params.share_location else pairs.label
    place = (pairs.image * heads.width + pairs.prior) * params.loc_classes + loc_class
    predicted = heads.loc.reshape(-1, 4).index_select(0, place)
    prior, variance = heads.priors[pairs.prior], heads.variances[pairs.prior]
    target = encode(prior, variance, pairs.box, params.coding)
    if params.inside_only:
        seen = prior
        if not params.matching.by_priors:
            seen = decode(prior, variance, predicted.detach(), params.coding)
        predicted = torch.where((seen < 0) | (seen > 1), target, predicted)
    if params.coding.variance_in_target:
        # Caffe: the gradient is that of the undivided values (multibox_loss_layer.cpp, Backward_cpu).
        predicted = predicted.detach() / variance + (predicted - predicted.detach())
        target = target / variance
    if params.is_smooth:
        return F.smooth_l1_loss(predicted, target, reduction="none").sum(1)
    return (predicted - target).square().sum(1) / 2


def class_losses(scores: Tensor, labels: Tensor, params: MultiBoxLossParams) -> Tensor:
    """Returns what the scores of each prior cost if it is of a label; for mining, without gradients.

    Args:
        scores: (…, num_classes).
        labels: (…); a negative one is no class, which LOGISTIC allows.
        params: The layer's settings.
    """
    index = labels.clamp(min=0).unsqueeze(-1)
    if not params.is_logistic:
        logs = F.log_softmax(scores, dim=-1).gather(-1, index).squeeze(-1)
        return logs.neg_().clamp_(max=LARGEST)
    own = scores.gather(-1, index)
    turned = scores.scatter(-1, index, torch.where(labels.unsqueeze(-1) < 0, own, -own))
    return F.softplus(turned).sum(-1)


def softmax_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Returns the sum of -log(probability of the label) over rows."""
    each = -F.log_softmax(scores, dim=1).gather(1, labels.unsqueeze(1))
    return (each - (each.detach() - LARGEST).clamp(min=0)).sum()


def sigmoid_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Returns the sum of the cross-entropies of all scores."""
    return F.binary_cross_entropy_with_logits(scores, targets, reduction="sum")


def mined_confidence(conf: Tensor, pairs: Pairs, negatives: Tensor, params: MultiBoxLossParams) -> Tensor:
    """Returns what the scores of matched priors and of mined negatives cost.

    Args:
        conf: (images, P, num_classes).
        pairs: What is matched.
        negatives: Which priors are mined; (images, P).
        params: The layer's settings.
    """
    width, classes = conf.shape[1:]
    mined = negatives.flatten().nonzero().flatten()
    rows = torch.cat((pairs.image * width + pairs.prior, mined))
    scores = conf.reshape(-1, classes).index_select(0, rows)
    labels = torch.cat((_labels(pairs, params), torch.full_like(mined, params.background)))
    if not params.is_logistic:
        return softmax_loss(scores, labels)
    targets = torch.full_like(scores, params.background)
    has_class = labels >= 0
    targets[has_class, labels[has_class]] = 1
    return sigmoid_loss(scores, targets)


def whole_confidence(conf: Tensor, pairs: Pairs, params: MultiBoxLossParams) -> Tensor:
    """Returns what the scores of all priors cost, of the background where nothing is matched."""
    images, width, classes = conf.shape
    labels = _labels(pairs, params)
    scores = conf.reshape(-1, classes)
    if not params.is_logistic:
        # A prior can be matched by several classes; the last one counts.
        index = labels.new_full((images * width,), -1)
        index.scatter_reduce_(0, pairs.image * width + pairs.prior, labels, "amax")
        return softmax_loss(scores, torch.where(index < 0, params.background, index))
    # Caffe: from image to image the targets advance by P values, not by P rows, and no prior gets the
    # background as target (bbox_util.cpp, EncodeConfPrediction).
    targets = torch.full_like(scores, params.background)
    targets.view(-1)[pairs.image * width + pairs.prior * classes + labels] = 1
    return sigmoid_loss(scores, targets)


def _labels(pairs: Pairs, params: MultiBoxLossParams) -> Tensor:
    return torch.full_like(pairs.label, params.background + 1) if params.is_agnostic else pairs.label
