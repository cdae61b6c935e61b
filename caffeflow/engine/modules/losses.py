"""Losses on PyTorch: unweighted scalars; the executor multiplies by loss_weight."""

from __future__ import annotations

import math
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, at_least_single, module
from caffeflow.errors import DataError
from caffeflow.layers.losses import Normalization, SigmoidLossParams, SoftmaxLossParams
from caffeflow.layers.params import canonical_axis

LARGEST: Final = -math.log(torch.finfo(torch.float32).tiny)
"""Caffe never takes the logarithm of less than FLT_MIN, so no position adds more than this."""


def class_indices(labels: Tensor) -> Tensor:
    """Returns labels as Caffe reads them: truncated to whole numbers."""
    return labels.to(torch.int64)


def divisor(mode: Normalization, *, rows: int, positions: int, valid: Tensor | None) -> Tensor | float:
    """Returns what a loss is divided by; at least 1.

    Args:
        mode: The normalization.
        rows: Size of the batch.
        positions: Number of labels.
        valid: Where labels count; None: everywhere.
    """
    if mode == "VALID" and valid is not None:
        return valid.sum().clamp(min=1)
    return max({"FULL": positions, "VALID": positions, "BATCH_SIZE": rows, "NONE": 1}[mode], 1)


def check_labels(labels: Tensor, valid: Tensor | None, classes: int, layer: str) -> None:
    """Raises a DataError for a label that is no class; on the CPU only, where looking costs nothing."""
    if labels.device.type != "cpu" or not labels.numel():
        return
    wrong = (labels < 0) | (labels >= classes)
    if valid is not None:
        wrong &= valid
    if wrong.any():
        label = int(labels[wrong][0])
        raise DataError(
            f"layer '{layer}': label {label} is not among its {classes} classes (0 to {classes - 1});"
            " correct the labels or num_output"
        )


def _bounded(costs: Tensor) -> Tensor:
    """Returns costs of at most `LARGEST`; the bound is on values only, Caffe's gradient has none."""
    return costs - (costs.detach() - LARGEST).clamp(min=0)


@module("SoftmaxWithLoss")
class SoftmaxWithLoss(LayerModule):
    """The mean of -log(probability of the label).

    Attributes:
        smoothing: How much of each label is shared out evenly among all classes.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: SoftmaxLossParams = setup.params
        self.smoothing = 0.0
        self.axis = canonical_axis(self.params.axis, len(setup.bottoms[0]))
        self.layer_name = setup.layer.name

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Returns the loss, and the probabilities where they are a top."""
        # scores: (outer…, classes, inner…), labels: one for each position -> ()
        positions = (*scores.shape[: self.axis], *scores.shape[self.axis + 1 :])
        index = class_indices(labels).reshape(positions)
        ignore = self.params.ignore_label
        valid = None if ignore is None else index != ignore
        check_labels(index, valid, scores.shape[self.axis], self.layer_name)
        if valid is not None:
            index = torch.where(valid, index, 0)
        logs = F.log_softmax(at_least_single(scores), dim=self.axis)
        each = _bounded(-logs.gather(self.axis, index.unsqueeze(self.axis)).squeeze(self.axis))
        if self.smoothing:
            each = torch.lerp(each, _bounded(-logs).mean(self.axis), self.smoothing)
        if valid is not None:
            each = torch.where(valid, each, 0)
        rows = math.prod(scores.shape[: self.axis])
        z = divisor(self.params.normalization, rows=rows, positions=index.numel(), valid=valid)
        loss = each.sum() / z
        return loss if self.params.tops < 2 else (loss, logs.exp())


@module("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(LayerModule):
    """The cross-entropy of targets in [0, 1] with the sigmoid of scores."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: SigmoidLossParams = setup.params

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss."""
        scores, targets = at_least_single(scores), at_least_single(targets.detach()).reshape(scores.shape)
        ignore = self.params.ignore_label
        valid = None if ignore is None else class_indices(targets) != ignore
        each = F.binary_cross_entropy_with_logits(scores, targets, reduction="none")
        if valid is not None:
            each = torch.where(valid, each, 0)
        z = divisor(self.params.normalization, rows=scores.shape[0], positions=scores.numel(), valid=valid)
        return each.sum() / z


@module("EuclideanLoss")
class EuclideanLoss(LayerModule):
    """Half the squared distance, as a mean over rows."""

    def forward(self, predicted: Tensor, wanted: Tensor) -> Tensor:
        """Returns the loss."""
        difference = at_least_single(predicted) - at_least_single(wanted).reshape(predicted.shape)
        return difference.square().sum() / (2 * predicted.shape[0])
