"""Losses by loops, with Caffe's divisors."""

from __future__ import annotations

import math

import numpy as np

from tests.support.oracles.softmax import positions, softmax

FLT_MIN = float(np.finfo(np.float32).tiny)


def divisor(mode, *, rows, count, valid):
    return max({"FULL": count, "VALID": valid, "BATCH_SIZE": rows, "NONE": 1}[mode], 1)


def softmax_loss(x, labels, *, axis=1, normalization="VALID", ignore=None, smoothing=0.0):
    """The loss and its gradient for a loss weight of 1; `smoothing` is shared out among all classes."""
    p = softmax(x, axis=axis)
    dx = np.zeros(x.shape)
    flat = [int(label) for label in labels.flat]
    lines = list(positions(x.shape, axis))
    total, valid = 0.0, 0
    for line, label in zip(lines, flat, strict=True):
        if label == ignore:
            continue
        valid += 1
        classes = len(p[line])
        wanted = np.full(classes, smoothing / classes)
        wanted[label] += 1 - smoothing
        for k in range(classes):
            if wanted[k]:
                total -= wanted[k] * math.log(max(p[line][k], FLT_MIN))
        dx[line] = p[line] - wanted
    z = divisor(normalization, rows=math.prod(x.shape[:axis]), count=len(lines), valid=valid)
    return np.array(total / z), dx / z


def sigmoid_loss(x, targets, *, normalization="BATCH_SIZE", ignore=None):
    """The loss and its gradient for a loss weight of 1."""
    total, valid = 0.0, 0
    dx = np.zeros(x.shape)
    for place, t in zip(np.ndindex(*x.shape), targets.flat, strict=True):
        if ignore is not None and int(t) == ignore:
            continue
        valid += 1
        v, positive = float(x[place]), float(x[place] >= 0)
        total -= v * (float(t) - positive) - math.log(1 + math.exp(v - 2 * v * positive))
        dx[place] = 1 / (1 + math.exp(-v)) - float(t)
    z = divisor(normalization, rows=x.shape[0], count=x.size, valid=valid)
    return np.array(total / z), dx / z


def euclidean(a, b):
    total = 0.0
    for p, q in zip(a.flat, b.flat, strict=True):
        total += (float(p) - float(q)) ** 2
    return np.array(total / (2 * a.shape[0]))
