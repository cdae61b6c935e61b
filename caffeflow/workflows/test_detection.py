"""The figures of a test of detections: mAP, each class, COCO's twelve numbers, result files.

Boxes are compared by the settings of the net's own DetectionEvaluate layer, but with the size of each image
known, where the layer counts lines; so images without a detection put nothing out of step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from caffeflow.engine.training import Result
from caffeflow.errors import CheckError, DataError, UsageError
from caffeflow.evaluate.detection import ApVersion, DetectionScore, DetectionTally
from caffeflow.evaluate.detection_boxes import Floats, pixels
from caffeflow.evaluate.detection_coco import check_pycocotools, coco_figures
from caffeflow.evaluate.detection_files import COCO_FILE, write_coco_file, write_voc_files
from caffeflow.evaluate.detection_match import NOTHING, match
from caffeflow.proto.caffe_pb2 import (
    LayerParameter,
    NetParameter,
)
from caffeflow.workflows.preflight_data import size_file_of
from caffeflow.workflows.test_detection_net import ap_version_beside, resize_of, rule_of
from caffeflow.workflows.test_images import ClassNames, find_label_map, images_of
from caffeflow.workflows.train_record import class_figures


@dataclass(frozen=True, kw_only=True)
class DetectionSettings:
    """What the user asks of a test of detections.

    Attributes:
        ap: How precisions are averaged; None: as the solver beside the net says.
        metric: `coco`: COCO's twelve numbers too.
        results_dir: Where result files go; None: nowhere.
        force: Replace result files that are there.
    """

    ap: ApVersion | None = None
    metric: Literal["voc", "coco"] = "voc"
    results_dir: Path | None = None
    force: bool = False

    @property
    def is_asked(self) -> bool:
        """Whether anything is asked that only nets with boxes have."""
        return self.ap is not None or self.metric != "voc" or self.results_dir is not None

    def check(self) -> None:
        """Looks for what is in the way before the test begins.

        Raises:
            UsageError: pycocotools is not installed, or there are result files already.
        """
        if self.metric == "coco":
            check_pycocotools()
        if self.results_dir is not None and not self.force and (self.results_dir / COCO_FILE).exists():
            raise UsageError(
                f"--results {self.results_dir}: holds result files already; replace them with --force, or"
                " name another folder"
            )


class DetectionFigures:
    """Gathers what a net finds, image after image, and scores it at the end.

    Args:
        net: The net with all its layers, as its file has it.
        data: The layer whose records are tested.
        path: The net's file.
        blob: The output of DetectionOutput.
        settings: What is asked for.
    """

    def __init__(
        self, net: NetParameter, data: LayerParameter, path: Path, *, blob: str, settings: DetectionSettings
    ) -> None:
        settings.check()
        self.seen = 0
        self._settings: Final = settings
        self._blob: Final = blob
        self._rule: Final = rule_of(net)
        self._resize: Final = resize_of(net, data)
        self._version: Final = settings.ap or ap_version_beside(path)
        size_files = [size_file_of(layer) for layer in net.layer]
        self._images: Final = images_of(data, size_file=next(filter(None, size_files), ""))
        self._names: Final = ClassNames.of(find_label_map(data, net), self._rule.labels)
        self._found: list[Floats] = []
        self._truth: list[Floats] = []

    def first(self, tops: tuple[Any, ...], most: int) -> tuple[Any, ...]:
        """Returns the first images of a batch and their boxes."""
        images, truth = tops
        if len(images) <= most:
            return tops
        kept = truth[:, :, truth[0, 0, :, 0] < most]
        if not kept.shape[2]:
            kept = truth.new_full((1, 1, 1, 8), NOTHING)
        return images[:most], kept

    def check(self, _tops: tuple[Any, ...]) -> None:
        """Lets every batch pass: labels were looked at before."""

    def add(self, result: Result, tops: tuple[Any, ...]) -> None:
        """Counts a batch."""
        images, truth = tops
        rows = result.outputs[self._blob].float().cpu().numpy().reshape(-1, 7)
        self._found.append(self._numbered(rows[rows[:, 1] != NOTHING]))
        boxes = truth.numpy().reshape(-1, 8)
        self._truth.append(self._numbered(boxes[boxes[:, 0] != NOTHING]))
        self.seen += len(images)

    def result(self, weights: Path) -> dict[str, Any]:
        """Returns the figures as JSON has them, and writes the result files that are asked for.

        Args:
            weights: The weights' file, for messages.

        Raises:
            CheckError: Some are no numbers.
            DataError: The result files cannot be written.
        """
        found, truth = np.concatenate(self._found), np.concatenate(self._truth)
        if not np.isfinite(found).all():
            raise CheckError(
                f"{weights}: boxes or scores are not all numbers but NaN or infinite; look at the weights"
                f" with: caffeflow weights show {weights}"
            )
        found_px, truth_px = self._in_pixels(found), self._in_pixels(truth)
        rows = (
            match(found_px, truth_px, self._rule) if self._rule.in_pixels else match(found, truth, self._rule)
        )
        tally = DetectionTally(self._version)
        tally.add(rows)
        score = tally.result()
        return {
            "task": "detection",
            "records": self.seen,
            "boxes": len(truth),
            "difficult": int((truth[:, 7] != 0).sum()),
            "detections": len(found),
            "ap_version": self._version,
            **self._scores(score),
            "coco": self._coco(found_px, truth_px),
            "files": [str(path) for path in self._write(found_px)],
        }

    def _numbered(self, rows: Floats) -> Floats:
        """Returns rows with the number of the image among all, in place of that in the batch."""
        numbered = rows.copy()
        numbered[:, 0] += self.seen
        return numbered

    def _in_pixels(self, rows: Floats) -> Floats:
        sizes = np.array([(image.height, image.width) for image in self._images], np.float32)
        moved = rows.copy()
        moved[:, 3:7] = pixels(rows[:, 3:7], sizes[rows[:, 0].astype(np.int64)], self._resize)
        return moved

    def _scores(self, score: DetectionScore) -> dict[str, Any]:
        return {"map": score.mean, "per_class": class_figures(score.classes, self._names.shown)}

    def _coco(self, found: Floats, truth: Floats) -> dict[str, float | None] | None:
        if self._settings.metric != "coco":
            return None
        return dict(coco_figures(found, truth, images=self.seen, labels=self._rule.labels))

    def _write(self, found: Floats) -> Sequence[Path]:
        folder = self._settings.results_dir
        if folder is None:
            return []
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{folder}: cannot make this folder: {error.strerror}") from error
        names = [image.name for image in self._images]
        voc = write_voc_files(folder, found, images=names, classes=self._names.written)
        return [*voc, write_coco_file(folder, found, images=names, classes=self._names.written)]
