"""Which detections have found a box: the rows of DetectionEvaluate, made of detections and ground truth.

A detection takes the box of its class that it overlaps most, and has found it if they overlap enough and
no better-scored detection has found it before. This is for nets without that layer; it works on images
with known sizes and so knows nothing of the layer's count of lines, which images without a detection
put out of step (detection_evaluate_layer.cpp).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.evaluate.detection_boxes import Floats, overlaps

NOTHING: Final = -1  # the label of a row that stands for "no detection", the item of "no box"


@dataclass(frozen=True, kw_only=True)
class MatchRule:
    """The settings of a DetectionEvaluate layer.

    Attributes:
        num_classes: Background counted.
        background: Its label; negative where every label is a kind of object.
        overlap: What intersection over union must reach.
        counts_difficult: Whether difficult boxes are to be found like others.
        in_pixels: Whether boxes count both their edges.
    """

    num_classes: int
    background: int = 0
    overlap: float = 0.5
    counts_difficult: bool = True
    in_pixels: bool = False

    @property
    def labels(self) -> tuple[int, ...]:
        """The labels of objects."""
        return tuple(label for label in range(self.num_classes) if label != self.background)


def match(detections: Floats, truth: Floats, rule: MatchRule) -> Floats:
    """Returns rows (M, 5) as DetectionEvaluate makes them, of some images.

    Args:
        detections: (D, 7): item, label, score, xmin, ymin, xmax, ymax.
        truth: (G, 8): item, label, instance, xmin, ymin, xmax, ymax, difficult.
        rule: What counts as found.
    """
    truth = truth[truth[:, 0] != NOTHING]
    truth = truth[np.argsort(_keys(truth, rule), kind="stable")]
    found = detections[detections[:, 1] != NOTHING]
    found = found[np.lexsort((-found[:, 2], found[:, 1], found[:, 0]))]
    right, wrong = _judge(found, truth, rule)
    rows = np.column_stack([found[:, :3], right, wrong]).astype(np.float32)
    return np.concatenate([_counts(truth, rule), rows])


def _counts(truth: Floats, rule: MatchRule) -> Floats:
    """Returns a row for each class with the number of its boxes."""
    counted = truth if rule.counts_difficult else truth[truth[:, 7] == 0]
    rows = np.full((len(rule.labels), 5), NOTHING, np.float32)
    rows[:, 1] = rule.labels
    rows[:, 2] = [np.count_nonzero(counted[:, 1] == label) for label in rule.labels]
    return rows


def _judge(found: Floats, truth: Floats, rule: MatchRule) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns for each detection whether it is right and whether it is wrong; maybe it is neither."""
    right = np.zeros(len(found), bool)
    wrong = np.ones(len(found), bool)
    # Both are sorted by image and class, so what belongs together stands together.
    known, first, counts = np.unique(_keys(truth, rule), return_index=True, return_counts=True)
    keys = _keys(found, rule)
    starts, ends = np.searchsorted(keys, known, "left"), np.searchsorted(keys, known, "right")
    for start, end, begin, count in zip(starts, ends, first, counts, strict=True):
        if start == end:
            continue
        boxes = truth[begin : begin + count]
        shares = overlaps(found[start:end, 3:], boxes[:, 3:7], in_pixels=rule.in_pixels)
        best = shares.argmax(axis=1)
        is_taken = np.zeros(len(boxes), bool)
        for place in np.flatnonzero(shares.max(axis=1) >= np.float32(rule.overlap)).tolist():
            box = best[place]
            if not rule.counts_difficult and boxes[box, 7]:
                wrong[start + place] = False
            elif not is_taken[box]:
                is_taken[box] = True
                right[start + place], wrong[start + place] = True, False
    return right, wrong


def _keys(rows: Floats, rule: MatchRule) -> NDArray[np.int64]:
    """Returns a number for each row that those of one image and class have in common."""
    keys: NDArray[np.int64] = rows[:, :2].astype(np.int64) @ np.array([rule.num_classes, 1])
    return keys
