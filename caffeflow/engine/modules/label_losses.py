"""HingeLoss, MultinomialLogisticLoss and InfogainLoss on PyTorch: unweighted scalars."""

from __future__ import annotations

import math
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.losses import check_labels, class_indices, divisor
from caffeflow.engine.modules.registry import LayerModule, Setup, at_least_single, module
from caffeflow.errors import NetError
from caffeflow.layers.label_losses import HingeParams, InfogainParams, check_matrix
from caffeflow.layers.params import canonical_axis
from caffeflow.proto.binary import read_binaryproto

LEAST: Final = 1e-20
"""Caffe takes no logarithm of less (kLOG_THRESHOLD)."""


@module("HingeLoss")
class HingeLoss(LayerModule):
    """How far the label's score is below 1 and the others above -1, as a sum or a sum of squares."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: HingeParams = setup.params
        self.layer_name = setup.layer.name

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss."""
        rows = at_least_single(scores).flatten(1)
        index = class_indices(labels).reshape(-1, 1)
        check_labels(index, None, rows.shape[1], self.layer_name)
        sign = torch.ones_like(rows).scatter_(1, index, -1.0)
        margins = F.relu(1 + sign * rows)  # whose gradient at 0 is 0, as Caffe's
        total = margins.square().sum() if self.params.norm == "L2" else margins.sum()
        return total / rows.shape[0]


@module("MultinomialLogisticLoss")
class MultinomialLogisticLoss(LayerModule):
    """The mean of -log(probability of the label), of probabilities."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.layer_name = setup.layer.name

    def forward(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss."""
        rows = at_least_single(probabilities).flatten(1)
        index = class_indices(labels).reshape(-1, 1)
        check_labels(index, None, rows.shape[1], self.layer_name)
        chosen = rows.gather(1, index)
        # Caffe: the gradient goes through the bound, divided by it.
        bounded = chosen + (chosen.clamp(min=LEAST) - chosen).detach()
        return -bounded.log().sum() / rows.shape[0]


@module("InfogainLoss")
class InfogainLoss(LayerModule):
    """The mean of -log(probability) of all classes, weighed by the row of a matrix that the label names."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: InfogainParams = setup.params
        scores = setup.bottoms[0]
        self.axis = canonical_axis(self.params.axis, len(scores))
        self.classes = scores[self.axis]
        self.layer_name = setup.layer.name
        if self.params.source:
            matrix = torch.from_numpy(read_binaryproto(self.params.source))
            try:
                check_matrix(tuple(matrix.shape), self.classes)
            except NetError as error:
                raise NetError(f"{self.params.source}: {error}", layer=self.layer_name) from error
            self.register_buffer("matrix", matrix, persistent=False)

    def forward(
        self, scores: Tensor, labels: Tensor, matrix: Tensor | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """Returns the loss, and the probabilities where they are a top."""
        # scores: (outer…, K, inner…), labels: one for each position -> ()
        logs = F.log_softmax(at_least_single(scores), dim=self.axis)
        index = class_indices(labels).reshape(-1)
        ignore = self.params.ignore_label
        valid = None if ignore is None else index != ignore
        check_labels(index, valid, self.classes, self.layer_name)
        if valid is not None:
            index = torch.where(valid, index, 0)
        table = self.get_buffer("matrix") if matrix is None else matrix.detach()
        weights = table.reshape(self.classes, self.classes).to(logs.dtype)[index]
        each = logs.movedim(self.axis, -1).reshape(-1, self.classes)
        # The bound holds for the value only; Caffe's gradient knows nothing of it.
        each = each + (math.log(LEAST) - each.detach()).clamp(min=0)
        total = -(each * weights).sum(1)
        if valid is not None:
            total = torch.where(valid, total, 0)
        rows = math.prod(scores.shape[: self.axis])
        z = divisor(self.params.normalization, rows=rows, positions=index.numel(), valid=valid)
        loss = total.sum() / z
        return loss if self.params.tops < 2 else (loss, logs.exp())
