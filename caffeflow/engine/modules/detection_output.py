"""DetectionOutput on PyTorch: all images and labels at once; no gradient."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from caffeflow.engine.modules.boxes import decode
from caffeflow.engine.modules.nms import Ranked, rank_by_score, suppress
from caffeflow.engine.modules.registry import LayerModule, Setup, at_least_single, module
from caffeflow.engine.result_files import ResultWriter
from caffeflow.layers.boxes import prior_count
from caffeflow.layers.detection_output import DetectionOutputParams

_log = logging.getLogger(__name__)


@module("DetectionOutput")
class DetectionOutput(LayerModule):
    """Detections as rows of 7: image, label, score, xmin, ymin, xmax, ymax."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: DetectionOutputParams = setup.params
        results = self.params.results
        self.writer = None if results is None else ResultWriter(results, self.params, layer=setup.layer.name)
        for field in self.params.unused:
            _log.warning(
                "layer '%s': %s has no effect here; caffeflow detect draws pictures", setup.layer.name, field
            )

    @torch.no_grad()
    def forward(self, loc: Tensor, conf: Tensor, priors: Tensor, _images: Tensor | None = None) -> Tensor:
        """Returns the detections of a batch."""
        # loc: (N, P*L*4), conf: (N, P*K), priors: (1, 2, P*4) -> (1, 1, M, 7)
        rows = self._detect(at_least_single(loc), at_least_single(conf), at_least_single(priors))
        if self.writer is not None:
            self.writer.add(rows.cpu().numpy(), images=len(loc))
        if not len(rows):
            _log.info("Couldn't find any detections")
            rows = rows.new_full((len(loc), 7), -1)
            rows[:, 0] = torch.arange(len(loc), device=rows.device)
        return rows.reshape(1, 1, -1, 7)

    def _detect(self, loc: Tensor, conf: Tensor, priors: Tensor) -> Tensor:
        params = self.params
        count = prior_count(tuple(priors.shape))
        images, classes = len(loc), params.num_classes
        corners, variances = priors.reshape(2, count, 1, 4)
        codes = loc.reshape(images, count, params.loc_classes, 4)
        boxes = decode(corners, variances, codes, params.coding)

        scores = conf.reshape(images, count, classes).transpose(1, 2)
        passes = scores > params.confidence_threshold
        if 0 <= params.background < classes:
            passes[:, params.background] = False
        image, label, prior = passes.nonzero(as_tuple=True)  # rising, in this order
        score = scores[image, label, prior]

        ranked = rank_by_score(score, image * classes + label)
        if params.suppression.top_k >= 0:
            ranked = ranked.where(ranked.rank < params.suppression.top_k)
        image, label, prior = (each[ranked.source] for each in (image, label, prior))
        found = boxes[image, prior, label if params.loc_classes > 1 else 0]
        stays = suppress(found, ranked, params.suppression)
        head = torch.stack((image, label), 1).to(score.dtype)
        rows = torch.cat((head, score[ranked.source].unsqueeze(1), found), 1)[stays]
        return rows if params.keep_top_k < 0 else _best(rows, ranked.where(stays), params)


def _best(rows: Tensor, ranked: Ranked, params: DetectionOutputParams) -> Tensor:
    """Returns the rows with the highest scores of each image, in their order."""
    by_image = rank_by_score(rows[:, 2], ranked.group // params.num_classes)
    chosen = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    chosen[by_image.source] = by_image.rank < params.keep_top_k
    return rows[chosen]
