"""HingeLoss, MultinomialLogisticLoss, InfogainLoss and ContrastiveLoss by loops, with their gradients."""

from __future__ import annotations

import math

import numpy as np

from tests.support.oracles.losses import divisor
from tests.support.oracles.softmax import positions, softmax

LEAST = 1e-20


def hinge(x, labels, *, squared=False):
    rows = x.reshape(len(x), -1)
    dx = np.zeros(rows.shape)
    total = 0.0
    for (n, c), value in np.ndenumerate(rows):
        sign = -1.0 if c == int(labels.flat[n]) else 1.0
        margin = max(0.0, 1 + sign * value)
        total += margin**2 if squared else margin
        if margin > 0:
            dx[n, c] = sign * (2 * margin if squared else 1)
    return np.array(total / len(x)), dx.reshape(x.shape) / len(x)


def multinomial(p, labels):
    rows = p.reshape(len(p), -1)
    dp = np.zeros(rows.shape)
    total = 0.0
    for n in range(len(p)):
        label = int(labels.flat[n])
        bounded = max(rows[n, label], LEAST)
        total -= math.log(bounded)
        dp[n, label] = -1 / (len(p) * bounded)
    return np.array(total / len(p)), dp.reshape(p.shape)


def infogain(x, labels, matrix, *, axis=1, normalization="VALID", ignore=None):
    p = softmax(x, axis=axis)
    classes = x.shape[axis]
    table = matrix.reshape(classes, classes)
    dx = np.zeros(x.shape)
    lines = list(positions(x.shape, axis))
    total, valid = 0.0, 0
    for line, value in zip(lines, labels.flat, strict=True):
        label = int(value)
        if label == ignore:
            continue
        valid += 1
        for other in range(classes):
            total -= table[label, other] * math.log(max(p[line][other], LEAST))
            dx[line][other] = p[line][other] * sum(table[label]) - table[label, other]
    z = divisor(normalization, rows=math.prod(x.shape[:axis]), count=len(lines), valid=valid)
    return np.array(total / z), dx / z


def contrastive(a, b, kinds, *, margin=1.0, legacy=False):
    """The loss and the gradient by a; that by b is its negative."""
    da = np.zeros(a.shape)
    total = 0.0
    for n in range(len(a)):
        apart = [float(p) - float(q) for p, q in zip(a[n].flat, b[n].flat, strict=True)]
        squared = sum(value**2 for value in apart)
        distance = math.sqrt(squared)
        lacking = margin - (squared if legacy else distance)
        factor = 0.0
        if int(kinds.flat[n]):
            total += squared
            factor = 1.0
        elif lacking > 0:
            total += lacking if legacy else lacking**2
            factor = -1.0 if legacy else -lacking / (distance + 1e-4)
        for place, value in enumerate(apart):
            da[n].flat[place] = factor * value / len(a)
    return np.array(total / (2 * len(a))), da
