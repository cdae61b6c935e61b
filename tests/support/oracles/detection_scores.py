"""Scoring detections one at a time, with C++'s kinds of numbers, from SSD's description of them."""

from __future__ import annotations

import numpy as np

f32 = np.float32


def curve(scores: list[float], right: list[int], boxes: int) -> tuple[list[f32], list[f32]]:
    """Precision and recall behind each detection, the best score first; equal scores keep their order."""
    order = sorted(range(len(scores)), key=lambda k: -scores[k])
    precisions, recalls = [], []
    found = 0
    for rank, place in enumerate(order, start=1):
        found += right[place]
        precisions.append(f32(f32(found) / f32(rank)))
        recalls.append(f32(f32(found) / f32(boxes)))
    return precisions, recalls


def average_precision(scores: list[float], right: list[int], boxes: int, version: str) -> f32:
    if not scores or not boxes:
        return f32(0)
    average = {"11point": eleven_points, "MaxIntegral": max_integral, "Integral": integral}[version]
    return average(*curve(scores, right, boxes))


def eleven_points(precisions: list[f32], recalls: list[f32]) -> f32:
    total = f32(0)
    for point in range(10, -1, -1):
        best = f32(0)
        for precision, recall in zip(precisions, recalls, strict=True):
            if not float(recall) < point / 10.0 and precision > best:
                best = precision
        total = f32(total + f32(best / f32(11)))
    return total


def max_integral(precisions: list[f32], recalls: list[f32]) -> f32:
    total = f32(0)
    reached, precision = recalls[-1], precisions[-1]
    for k in range(len(recalls) - 2, -1, -1):
        precision = max(precision, precisions[k])
        step = abs(f32(reached - recalls[k]))
        if step > f32(1e-6):
            total = f32(total + f32(precision * step))
        reached = recalls[k]
    return f32(total + f32(reached * precision))


def integral(precisions: list[f32], recalls: list[f32]) -> f32:
    total, before = f32(0), f32(0)
    for precision, recall in zip(precisions, recalls, strict=True):
        step = abs(f32(recall - before))
        if step > f32(1e-6):
            total = f32(total + f32(precision * step))
        before = recall
    return total


def mean_average_precision(rows: np.ndarray, version: str) -> tuple[dict[int, f32], f32]:
    """The score of each class with detections, and the mean over all classes listed."""
    boxes: dict[int, int] = {}
    counted: dict[int, list[tuple[float, int]]] = {}
    for image, label, score, is_right, is_wrong in rows.tolist():
        if image == -1:
            boxes[int(label)] = boxes.get(int(label), 0) + int(score)
        elif is_right or is_wrong:
            counted.setdefault(int(label), []).append((score, int(is_right)))
    scores, total = {}, f32(0)
    for label in sorted(boxes):
        if label in counted:
            of_class = counted[label]
            ap = average_precision([s for s, _ in of_class], [r for _, r in of_class], boxes[label], version)
            scores[label] = ap
            total = f32(total + ap)
    return scores, f32(total / f32(len(boxes)))


def overlap(a, b, in_pixels: bool) -> f32:
    """Intersection over union of two boxes, xmin ymin xmax ymax."""
    one = f32(1 if in_pixels else 0)
    if b[0] > a[2] or b[2] < a[0] or b[1] > a[3] or b[3] < a[1]:
        return f32(0)
    width = f32(min(a[2], b[2]) - max(a[0], b[0]) + one)
    height = f32(min(a[3], b[3]) - max(a[1], b[1]) + one)
    if width <= 0 or height <= 0:
        return f32(0)
    shared = f32(width * height)
    return f32(shared / f32(f32(_area(a, one) + _area(b, one)) - shared))


def _area(box, one: f32) -> f32:
    width, height = f32(box[2] - box[0]), f32(box[3] - box[1])
    return f32(0) if width < 0 or height < 0 else f32((width + one) * (height + one))


def judge(
    detections, truth, classes: int, threshold: float, counts_difficult: bool, in_pixels: bool
) -> list[list[float]]:
    """The rows of DetectionEvaluate with background 0."""
    rows = []
    for label in range(1, classes):
        boxes = [gt for gt in truth if gt[0] != -1 and gt[1] == label and (counts_difficult or not gt[7])]
        rows.append([-1, label, len(boxes), -1, -1])
    for image in sorted({int(det[0]) for det in detections}):
        for label in range(1, classes):
            mine = [det for det in detections if det[0] == image and det[1] == label]
            boxes = [gt for gt in truth if gt[0] == image and gt[1] == label]
            taken = [False] * len(boxes)
            for det in sorted(mine, key=lambda det: -det[2]):
                best, best_box = f32(-1), None
                for k, gt in enumerate(boxes):
                    shared = overlap(det[3:7], gt[3:7], in_pixels)
                    if shared > best:
                        best, best_box = shared, k
                right = wrong = 0
                if best_box is None or best < f32(threshold):
                    wrong = 1
                elif counts_difficult or not boxes[best_box][7]:
                    right, wrong = (0, 1) if taken[best_box] else (1, 0)
                    taken[best_box] = True
                rows.append([image, label, det[2], right, wrong])
    return rows


def padded_to_pixels(box, height: int, width: int, net_height: int, net_width: int) -> list[float]:
    """A box of an image that was fitted into the net's frame with bars around it, in pixels, clipped."""
    scale = min(net_height / height, net_width / width)
    top, left = (net_height - scale * height) / 2, (net_width - scale * width) / 2
    x = [(value * net_width - left) / scale for value in (box[0], box[2])]
    y = [(value * net_height - top) / scale for value in (box[1], box[3])]
    x, y = ([min(max(value, 0), limit) for value in values] for values, limit in ((x, width), (y, height)))
    return [x[0], y[0], x[1], y[1]]
