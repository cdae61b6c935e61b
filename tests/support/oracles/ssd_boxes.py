"""Boxes as Caffe's SSD fork treats them, one at a time: areas, overlaps, codes relative to priors."""

from __future__ import annotations

import math


def area(box):
    if box[2] < box[0] or box[3] < box[1]:
        return 0.0
    return (box[2] - box[0]) * (box[3] - box[1])


def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if not (width > 0 and height > 0):
        return 0.0
    shared = width * height
    return shared / (area(a) + area(b) - shared)


def leaves_image(box):
    return any(side < 0 or side > 1 for side in box)


def encode(prior, variance, box, *, code, variance_in_target):
    if code == "CENTER_SIZE":
        width, height = prior[2] - prior[0], prior[3] - prior[1]
        values = [
            ((box[0] + box[2]) / 2 - (prior[0] + prior[2]) / 2) / width,
            ((box[1] + box[3]) / 2 - (prior[1] + prior[3]) / 2) / height,
            math.log((box[2] - box[0]) / width),
            math.log((box[3] - box[1]) / height),
        ]
    else:
        sides = [prior[2] - prior[0], prior[3] - prior[1]] * 2 if code == "CORNER_SIZE" else [1.0] * 4
        values = [(box[k] - prior[k]) / sides[k] for k in range(4)]
    return values if variance_in_target else [values[k] / variance[k] for k in range(4)]


def decode(prior, variance, values, *, code, variance_in_target):
    v = [1.0] * 4 if variance_in_target else variance
    if code == "CENTER_SIZE":
        width, height = prior[2] - prior[0], prior[3] - prior[1]
        x = v[0] * values[0] * width + (prior[0] + prior[2]) / 2
        y = v[1] * values[1] * height + (prior[1] + prior[3]) / 2
        w, h = math.exp(v[2] * values[2]) * width, math.exp(v[3] * values[3]) * height
        return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
    sides = [prior[2] - prior[0], prior[3] - prior[1]] * 2 if code == "CORNER_SIZE" else [1.0] * 4
    return [prior[k] + v[k] * values[k] * sides[k] for k in range(4)]
