"""MVN by loops over planes or images, with Caffe's gradient."""

from __future__ import annotations

import math

import numpy as np


def groups(shape, across):
    """Yields the index of each plane, or of each image."""
    for n in range(shape[0]):
        if across:
            yield (n,)
        else:
            for c in range(shape[1]):
                yield (n, c)


def mvn(x, *, divides=True, across=False, eps=1e-9):
    x = x.reshape(x.shape + (1,) * (4 - x.ndim))
    y = np.zeros(x.shape)
    for place in groups(x.shape, across):
        values = [float(v) for v in x[place].flat]
        mean = sum(values) / len(values)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
        for at in np.ndindex(*x[place].shape):
            y[(*place, *at)] = x[(*place, *at)] - mean
            if divides:
                y[(*place, *at)] /= deviation + eps
    return y


def mvn_gradient(x, dy, *, across=False, eps=1e-9):
    shape = x.shape
    x = x.reshape(x.shape + (1,) * (4 - x.ndim))
    y = mvn(x, across=across, eps=eps)
    dx = np.zeros(x.shape)
    for place in groups(x.shape, across):
        values = [float(v) for v in x[place].flat]
        mean = sum(values) / len(values)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
        pairs = [(float(a), float(b)) for a, b in zip(dy[place].flat, y[place].flat, strict=True)]
        mean_dy = sum(a for a, _ in pairs) / len(pairs)
        mean_dy_y = sum(a * b for a, b in pairs) / len(pairs)
        for at in np.ndindex(*x[place].shape):
            spot = (*place, *at)
            dx[spot] = (dy[spot] - mean_dy - y[spot] * mean_dy_y) / (deviation + eps)
    return dx.reshape(shape)
