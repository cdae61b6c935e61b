"""Average precision of detections, as the SSD fork's solver computes it (solver.cpp TestDetection).

What is added up are the rows of a DetectionEvaluate layer: one for each class, (-1, label, boxes, -1, -1),
and one for each detection, (image, label, score, right, wrong). Where one would guess wrong:
  * the mean divides by all classes, those without a box or without a detection among them, which add 0;
  * a detection that is neither right nor wrong has found a difficult box and does not count;
  * precision, recall and their sums are float32, the 11 thresholds double: so a recall of just 0.7 or 0.9
    lies below its threshold;
  * MaxIntegral lets the step up to a recall count with the precision that is reached there already, so
    it is a little more generous than VOC's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from caffeflow.errors import NetError
from caffeflow.proto.caffe_pb2 import SolverParameter

ApVersion = Literal["11point", "MaxIntegral", "Integral"]
AP_VERSIONS: Final[tuple[str, ...]] = get_args(ApVersion)

Floats = NDArray[np.float32]

_COUNTS_OF_A_CLASS: Final = -1
_SMALLEST_STEP: Final = np.float32(1e-6)


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """How one class is found.

    Attributes:
        label: Its number.
        boxes: How many boxes of it there are to find.
        detections: How many detections count.
        ap: Its average precision; 0 without boxes or without detections.
    """

    label: int
    boxes: int
    detections: int
    ap: float


@dataclass(frozen=True, kw_only=True)
class DetectionScore:
    """The figures of a detection test: the mean over classes, and each class."""

    version: ApVersion
    mean: float
    classes: tuple[ClassScore, ...]

    @property
    def has_detections(self) -> bool:
        """Whether anything was detected; Caffe prints no score otherwise."""
        return any(score.detections for score in self.classes)


class DetectionTally:
    """Takes rows batch after batch.

    Args:
        version: How precisions are averaged.

    Raises:
        NetError: There is no such way.
    """

    def __init__(self, version: str) -> None:
        self.version: Final = check_ap_version(version)
        self._boxes: dict[int, int] = {}
        self._counted: list[Floats] = []

    def add(self, rows: Floats) -> None:
        """Counts a batch; rows: (M, 5)."""
        is_of_class = rows[:, 0] == _COUNTS_OF_A_CLASS
        for _, label, boxes, _, _ in rows[is_of_class].astype(int).tolist():
            self._boxes[label] = self._boxes.get(label, 0) + boxes
        found = rows[~is_of_class]
        self._counted.append(found[(found[:, 3] != 0) | (found[:, 4] != 0), 1:4])

    def result(self) -> DetectionScore:
        """Returns the figures so far."""
        counted = np.concatenate([np.zeros((0, 3), np.float32), *self._counted])
        counted = counted[np.argsort(counted[:, 0], kind="stable")]
        labels = sorted(self._boxes)
        starts = np.searchsorted(counted[:, 0], labels, side="left")
        ends = np.searchsorted(counted[:, 0], labels, side="right")
        classes, total = [], np.float32(0)
        for label, start, end in zip(labels, starts, ends, strict=True):
            _, scores, right = counted[start:end].T
            ap = average_precision(scores, right, boxes=self._boxes[label], version=self.version)
            total += ap
            classes.append(
                ClassScore(label=label, boxes=self._boxes[label], detections=int(end - start), ap=float(ap))
            )
        mean = float(total / np.float32(len(classes))) if classes else 0.0
        return DetectionScore(version=self.version, mean=mean, classes=tuple(classes))


def check_ap_version(version: str) -> ApVersion:
    """Returns a name of a way to average precisions.

    Raises:
        NetError: There is no such way.
    """
    if version not in AP_VERSIONS:
        raise NetError(f"ap_version is '{version}'; expected one of {', '.join(AP_VERSIONS)}")
    return cast(ApVersion, version)


def find_tally(parameters: SolverParameter) -> Callable[[], DetectionTally] | None:
    """Returns what scores the tests of a solver; None if it does not test detections.

    Raises:
        NetError: There is no such ap_version.
    """
    if parameters.eval_type != "detection":
        return None
    return partial(DetectionTally, check_ap_version(parameters.ap_version))


def average_precision(scores: Floats, right: Floats, *, boxes: int, version: ApVersion) -> np.float32:
    """Returns the average precision of one class.

    Args:
        scores: Of each detection.
        right: 1 for a detection that has found a box, 0 for one that has not.
        boxes: How many there are to find.
        version: How to average.
    """
    if len(scores) == 0 or boxes == 0:
        return np.float32(0)
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(right[order].astype(np.int64)).astype(np.float32)
    precisions = np.divide(found, np.arange(1, len(found) + 1), dtype=np.float32)
    recalls = np.divide(found, boxes, dtype=np.float32)
    average = {"11point": _eleven_points, "MaxIntegral": _envelope, "Integral": _integral}[version]
    return average(precisions, recalls)


def _eleven_points(precisions: Floats, recalls: Floats) -> np.float32:
    best = [
        np.max(precisions, initial=np.float32(0), where=recalls.astype(np.float64) >= point / 10)
        for point in range(10, -1, -1)
    ]
    return _sum(np.array(best, np.float32) / np.float32(11))


def _envelope(precisions: Floats, recalls: Floats) -> np.float32:
    """Caffe: the precision of a step is the best from its lower end on (bbox_util.cpp ComputeAP)."""
    best = np.maximum.accumulate(precisions[::-1])
    steps = -np.diff(recalls[::-1])
    steps[steps <= _SMALLEST_STEP] = 0
    return _sum(np.append(best[1:] * steps, best[-1] * recalls[0]))


def _integral(precisions: Floats, recalls: Floats) -> np.float32:
    steps = np.diff(recalls, prepend=np.float32(0))
    steps[steps <= _SMALLEST_STEP] = 0
    return _sum(precisions * steps)


def _sum(terms: Floats) -> np.float32:
    """Adds in float32, one after the other."""
    return np.float32(np.cumsum(terms, dtype=np.float32)[-1])
