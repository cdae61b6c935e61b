"""DetectionEvaluate by loops, and boxes brought back to pixels; states go from batch to batch in a list."""

from __future__ import annotations

import numpy as np


def area(box, *, border):
    if box[2] < box[0] or box[3] < box[1]:
        return 0.0
    return (box[2] - box[0] + border) * (box[3] - box[1] + border)


def clip(box, height=1.0, width=1.0):
    limits = (width, height, width, height)
    return [max(min(value, limit), 0.0) for value, limit in zip(box, limits, strict=True)]


def to_pixels(box, size, resize=None):
    """(corners, area) of a box in an image of (height, width); resize: mode, (height, width), scales."""
    height, width = size
    if resize is not None and resize["mode"] == "FIT_SMALL_SIZE" and resize.get("scales"):
        high, wide = resize["scales"]
        out = clip([box[0] * wide, box[1] * high, box[2] * wide, box[3] * high], height, width)
        return out, area(out, border=0)
    if resize is not None and resize["mode"] == "FIT_LARGE_SIZE_AND_PAD":
        box = unpad(box, size, resize["size"])
    box = clip(box)
    out = [box[0] * width, box[1] * height, box[2] * width, box[3] * height]
    return out, area(out, border=1 if height > 1 or width > 1 else 0)


def unpad(box, size, net):
    aspect = size[1] / size[0]
    x = y = 0.0
    if aspect > net[1] / net[0]:
        y = (net[0] - net[1] / aspect) / 2 / net[0]
    else:
        x = (net[1] - net[0] * aspect) / 2 / net[1]
    if box[0] >= 1 - x or box[2] <= x or box[1] >= 1 - y or box[3] <= y:
        return box  # what lies beside the image stays as it is
    wide, high = 1 - 2 * x, 1 - 2 * y
    return clip([(box[0] - x) / wide, (box[1] - y) / high, (box[2] - x) / wide, (box[3] - y) / high])


def overlap(a, b, *, border):
    (box, size), (other, other_size) = a, b
    apart = other[0] > box[2] or other[2] < box[0] or other[1] > box[3] or other[3] < box[1]
    common = (
        [0.0] * 4
        if apart
        else [max(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), min(box[3], other[3])]
    )
    wide, high = common[2] - common[0] + border, common[3] - common[1] + border
    if wide > 0 and high > 0:
        with np.errstate(divide="ignore"):  # boxes of one pixel that share it: infinite, as in C++
            return float(np.float64(wide * high) / (size + other_size - wide * high))
    return 0.0


def evaluate(
    detections,
    truth,
    *,
    classes,
    background=0,
    threshold=0.5,
    difficult=True,
    sizes=(),
    resize=None,
    state=None,
):
    """The top; `state` is a list with the number of the next line of sizes, which it leaves up to date."""
    state = [0] if state is None else state
    found, boxes = read_detections(detections), read_truth(truth)
    rows = [
        [
            -1,
            c,
            sum(difficult or not hard for labels in boxes.values() for _, hard in labels.get(c, [])),
            -1,
            -1,
        ]
        for c in range(classes)
        if c != background
    ]
    for image in sorted(found):
        for label in sorted(set(found[image]) - {-1}):
            rivals = boxes.get(image, {}).get(label, [])
            dets = found[image][label]
            if rivals:
                dets = sorted(dets, key=lambda det: -det[0])
            size = sizes[state[0]] if sizes else None
            verdicts = judge(dets, rivals, threshold, difficult, size, resize)
            rows += [[image, label, det[0], *verdict] for det, verdict in zip(dets, verdicts, strict=True)]
        if sizes:
            state[0] = (state[0] + 1) % len(sizes)
    return np.array(rows, np.float64).reshape(1, 1, -1, 5)


def read_detections(rows):
    """Image -> label -> (score, box…) in the order of the rows."""
    found = {}
    for row in rows.reshape(-1, 7):
        if int(row[0]) != -1:
            found.setdefault(int(row[0]), {}).setdefault(int(row[1]), []).append(row[2:])
    return found


def read_truth(rows):
    """Image -> label -> (box, whether it is difficult) in the order of the rows."""
    boxes = {}
    for row in rows.reshape(-1, 8):
        if int(row[0]) == -1:
            break
        boxes.setdefault(int(row[0]), {}).setdefault(int(row[1]), []).append((row[3:7], row[7] != 0))
    return boxes


def judge(dets, rivals, threshold, difficult, size, resize):
    def measured(box):
        return to_pixels(box, size, resize) if size else (list(box), area(box, border=0))

    truth = [(measured(box), hard) for box, hard in rivals]
    used = set()
    for det in dets:
        best, where = -1.0, None
        for j, (box, _) in enumerate(truth):
            value = overlap(measured(det[1:5]), box, border=1 if size else 0)
            if value > best:
                best, where = value, j
        if where is None or best < threshold:
            yield 0, 1
        elif not difficult and truth[where][1]:
            yield 0, 0
        elif where in used:
            yield 0, 1
        else:
            used.add(where)
            yield 1, 0
