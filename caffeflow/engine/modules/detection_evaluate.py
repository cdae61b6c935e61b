"""DetectionEvaluate on PyTorch: all detections of a batch against all its boxes at once; no gradient."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from caffeflow.engine.modules.boxes import intersections, iou
from caffeflow.engine.modules.pixel_boxes import to_pixels
from caffeflow.engine.modules.registry import LayerModule, Setup, at_least_single, module
from caffeflow.errors import DataError
from caffeflow.layers.detection_evaluate import DetectionEvaluateParams
from caffeflow.proto.name_sizes import read_name_sizes

IMAGE, LABEL, SCORE = 0, 1, 2
DIFFICULT = 7


@module("DetectionEvaluate")
class DetectionEvaluate(LayerModule):
    """Rows of 5: how many boxes there are of each label, then whether each detection hits one.

    Attributes:
        sizes: Height and width of each image of the test set; empty: boxes are compared as fractions.
    """

    sizes: Tensor

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: DetectionEvaluateParams = setup.params
        self.layer_name = setup.layer.name
        sizes = self._read_sizes(self.params.name_size_file)
        self.register_buffer("sizes", sizes, persistent=False)
        self._next_line = 0

    def _read_sizes(self, path: str) -> Tensor:
        if not path:
            return torch.empty(0, 2)
        try:
            images = read_name_sizes(Path(path))
        except DataError as error:
            raise DataError(f"layer '{self.layer_name}': {error}") from error
        return torch.tensor([(each.height, each.width) for each in images], dtype=torch.float32)

    @torch.no_grad()
    def forward(self, detections: Tensor, truth: Tensor) -> Tensor:
        """Returns the counts of a batch, then its detections."""
        # detections: (1, 1, M, 7), truth: (1, 1, G, 8) -> (1, 1, labels + M, 5)
        found = at_least_single(detections).reshape(-1, 7)
        found = found[found[:, IMAGE].long() != -1]
        boxes = at_least_single(truth).reshape(-1, 8).to(found.dtype)
        # Caffe: reads the ground truth up to the first row without an image (bbox_util.cpp).
        boxes = boxes[(boxes[:, IMAGE].long() != -1).cumprod(0) == 1]
        self._check(found, "detections")
        self._check(boxes, "ground truth")
        images = torch.unique(found[:, IMAGE].long())
        judged = self._judged(_sorted(found[found[:, LABEL].long() != -1], boxes), boxes, images)
        if len(self.sizes):
            self._next_line = (self._next_line + len(images)) % len(self.sizes)
        return torch.cat((self._counts(boxes), judged)).reshape(1, 1, -1, 5)

    def _counts(self, boxes: Tensor) -> Tensor:
        labels = torch.tensor(self.params.labels, dtype=boxes.dtype, device=boxes.device)
        counted = boxes[:, LABEL].trunc().unsqueeze(1) == labels
        if not self.params.with_difficult:
            counted &= (boxes[:, DIFFICULT] == 0).unsqueeze(1)
        rows = boxes.new_full((len(labels), 5), -1)
        rows[:, 1] = labels
        rows[:, 2] = counted.sum(0)
        return rows

    def _judged(self, found: Tensor, boxes: Tensor, images: Tensor) -> Tensor:
        # M: detections, G: boxes; box number G stands for none
        if not len(found):
            return found.new_zeros((0, 5))
        overlaps = self._overlaps(found, boxes, images).masked_fill_(~_alike(found, boxes), -1)
        overlaps = torch.cat((overlaps, overlaps.new_full((len(found), 1), -1)), 1)
        overlap, box = overlaps.max(1)
        claims = overlap >= self.params.threshold
        is_left_out = torch.zeros_like(claims)
        if not self.params.with_difficult:
            is_difficult = torch.cat((boxes[:, DIFFICULT] != 0, claims.new_zeros(1)))
            is_left_out = claims & is_difficult[box]
        order = torch.arange(len(found), device=found.device)
        late = torch.full_like(order, len(found))
        first = order.new_full((len(boxes) + 1,), len(found))
        first.scatter_reduce_(0, box, torch.where(claims, order, late), "amin")
        hits = claims & ~is_left_out & (first[box] == order)
        misses = ~hits & ~is_left_out
        verdict = torch.stack((hits, misses), 1).to(found.dtype)
        return torch.cat((found[:, : SCORE + 1], verdict), 1)

    def _overlaps(self, found: Tensor, boxes: Tensor, images: Tensor) -> Tensor:
        """Returns the overlap of every detection with every box; it counts only within an image."""
        if not len(self.sizes):
            return iou(found[:, 3:7], boxes[:, 3:7])
        lines = (self._next_line + torch.arange(len(images), device=found.device)) % len(self.sizes)
        ours, theirs = (
            to_pixels(rows[:, 3:7], self.sizes[lines[_places(rows, images)]], self.params.resize)
            for rows in (found, boxes)
        )
        shared = intersections(ours.corners, theirs.corners, in_pixels=True)
        union = ours.areas.unsqueeze(1) + theirs.areas - shared
        return (shared / union).masked_fill_(~(shared > 0), 0)

    def _check(self, rows: Tensor, name: str) -> None:
        """Raises a DataError for the background's label; on the CPU only, where looking costs nothing."""
        if rows.device.type == "cpu" and (rows[:, LABEL].long() == self.params.background).any():
            raise DataError(
                f"layer '{self.layer_name}': label {self.params.background}, the background's, is among the"
                f" {name}; correct the label map or background_label_id"
            )


def _sorted(found: Tensor, boxes: Tensor) -> Tensor:
    """Returns detections by image, label and falling score."""
    # Caffe: sorts by score only where the image has boxes of the label (detection_evaluate_layer.cpp).
    scores = torch.where(_alike(found, boxes).any(1), found[:, SCORE], 0)
    found = found[scores.sort(descending=True, stable=True).indices]
    for column in (LABEL, IMAGE):
        found = found[found[:, column].long().sort(stable=True).indices]
    return found


def _alike(found: Tensor, boxes: Tensor) -> Tensor:
    """Returns which detections and boxes belong to one image and have one label."""
    ours, theirs = (rows[:, : LABEL + 1].long() for rows in (found, boxes))
    return (ours.unsqueeze(1) == theirs).all(-1)


def _places(rows: Tensor, images: Tensor) -> Tensor:
    """Returns the places of rows' images among those with detections; of other images any place."""
    return torch.searchsorted(images, rows[:, IMAGE].long()).clamp_(max=len(images) - 1)
