"""SSD's augmentation one box and one picture at a time, each step on the whole picture, nothing composed."""

from __future__ import annotations

import math

import cv2
import numpy as np

from tests.support.oracles.ssd_boxes import area, overlap

F = np.float32


def single(box):
    return [F(value) for value in box]


def clip(box):
    return [max(min(value, F(1)), F(0)) for value in box]


def shared(a, b):
    if b[0] > a[2] or b[2] < a[0] or b[1] > a[3] or b[3] < a[1]:
        return [F(0)] * 4
    return [max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])]


def coverage(whole, other, own_area=None):
    """The share of `whole` that `other` covers; `own_area` is what `whole` says of itself."""
    inter = area(shared(whole, other))
    if not inter > 0:
        return F(0)
    return inter / (area(whole) if own_area is None else own_area)


def project(frame, box):
    """Returns the box within the frame, or None."""
    if box[0] >= frame[2] or box[2] <= frame[0] or box[1] >= frame[3] or box[3] <= frame[1]:
        return None
    sides = [frame[2] - frame[0], frame[3] - frame[1]]
    placed = clip([(box[k] - frame[k % 2]) / sides[k % 2] for k in range(4)])
    return placed if area(placed) > 0 else None


def emits(frame, box, *, least_coverage=None, own_area=None):
    if least_coverage is not None:
        return coverage(box, frame, own_area) > least_coverage
    x, y = (box[0] + box[2]) / F(2), (box[1] + box[3]) / F(2)
    return frame[0] <= x <= frame[2] and frame[1] <= y <= frame[3]


def measure(kind, sample, thing):
    if kind == "jaccard_overlap":
        return overlap(sample, thing)
    return coverage(sample, thing) if kind == "sample_coverage" else coverage(thing, sample)


def satisfies(sample, objects, constraint):
    """Whether a sampled box satisfies min_/max_ fields of a constraint, with SSD's flag that stays up."""
    kinds = ("jaccard_overlap", "sample_coverage", "object_coverage")
    given = [k for k in kinds if f"min_{k}" in constraint or f"max_{k}" in constraint]
    if not given:
        return True
    found = False
    for thing in objects:
        for kind in given:
            value = measure(kind, sample, thing)
            if value < F(constraint.get(f"min_{kind}", -1)) or value > F(constraint.get(f"max_{kind}", 2)):
                break
            found = True
        if found:
            return True
    return found


def resized_box(box, *, mode, old, new):
    """The box in fractions of the resized picture; `old` and `new` are (height, width)."""
    old_h, old_w = F(old[0]), F(old[1])
    new_h, new_w = F(new[0]), F(new[1])
    aspect, asked = old_w / old_h, new_w / new_h
    pad_x = pad_y = F(0)
    if mode == "FIT_SMALL_SIZE":
        if aspect < asked:
            new_h = new_w / aspect
        else:
            new_w = aspect * new_h
    if mode == "FIT_LARGE_SIZE_AND_PAD":
        if aspect > asked:
            pad_y = (new_h - new_w / aspect) / F(2)
        else:
            pad_x = (new_w - aspect * new_h) / F(2)
    x = [box[k] * old_w * (new_w - F(2) * pad_x) / old_w for k in (0, 2)]
    y = [box[k] * old_h * (new_h - F(2) * pad_y) / old_h for k in (1, 3)]
    x = [pad_x + max(F(0), x[0]), pad_x + min(new_w, x[1])]
    y = [pad_y + max(F(0), y[0]), pad_y + min(new_h, y[1])]
    return [x[0] / new_w, y[0] / new_h, x[1] / new_w, y[1] / new_h]


def resized_picture(image, *, mode, height, width, interpolation, border=cv2.BORDER_CONSTANT, value=()):
    aspect, asked = F(image.shape[1] / image.shape[0]), F(width / height)
    if mode == "WARP":
        return cv2.resize(image, (width, height), interpolation=interpolation)
    if mode == "FIT_SMALL_SIZE":
        size = (
            (width, math.floor(F(width) / aspect))
            if aspect < asked
            else (math.floor(aspect * F(height)), height)
        )
        return cv2.resize(image, size, interpolation=interpolation)
    size = (
        (width, math.floor(F(width) / aspect)) if aspect > asked else (math.floor(aspect * F(height)), height)
    )
    inner = cv2.resize(image, size, interpolation=interpolation)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    margins = (top, height - size[1] - top, left, width - size[0] - left)
    return cv2.copyMakeBorder(inner, *margins, border, value=value)


def sat8(values):
    return np.clip(np.rint(values.astype(np.float32)), 0, 255).astype(np.uint8)


def distort(image, steps):
    """Applies steps in order: ("brightness", delta), ("contrast", f), ("saturation", f), ("hue", delta)."""
    for what, amount in steps:
        if what == "brightness":
            image = sat8(image.astype(np.float32) + F(amount))
        elif what == "contrast":
            image = sat8(image.astype(np.float32) * F(amount)) if abs(F(amount) - F(1)) > 1e-3 else image
        else:
            hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
            if what == "saturation":
                hsv[..., 1] = sat8(hsv[..., 1].astype(np.float32) * F(amount))
            else:
                hsv[..., 0] = sat8(hsv[..., 0].astype(np.float32) + F(amount))
            image = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    return image


def expand(image, *, height, width, top, left, background):
    """Pastes the picture into a canvas, pixel row by pixel row."""
    canvas = np.zeros((height, width, *image.shape[2:]), image.dtype)
    canvas[...] = background
    for y in range(image.shape[0]):
        canvas[top + y, left : left + image.shape[1]] = image[y]
    return canvas


def crop(image, box):
    """Cuts fractions out of the picture; places and sizes lose what is not whole."""
    box = clip(box)
    height, width = F(image.shape[0]), F(image.shape[1])
    left, top = int(box[0] * width), int(box[1] * height)
    columns, rows = int(box[2] * width - box[0] * width), int(box[3] * height - box[1] * height)
    return image[top : top + rows, left : left + columns]
