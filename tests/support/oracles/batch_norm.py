"""BatchNorm by loops over channels."""

from __future__ import annotations

import math

import numpy as np

EPS = float(np.float32(1e-5))  # messages hold floats in single precision


def _channel(x, c):
    return [float(x[place]) for place in np.ndindex(*x.shape) if place[1] == c]


def batch_statistics(x):
    """(mean, biased variance) of each channel."""
    means, variances = [], []
    for c in range(x.shape[1]):
        values = _channel(x, c)
        mean = sum(values) / len(values)
        means.append(mean)
        variances.append(sum((value - mean) ** 2 for value in values) / len(values))
    return np.array(means), np.array(variances)


def normalise(x, mean, variance, eps=EPS):
    y = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        c = place[1]
        y[place] = (float(x[place]) - mean[c]) / math.sqrt(variance[c] + eps)
    return y


def by_batch(x, eps=EPS):
    return normalise(x, *batch_statistics(x), eps)


def by_stored(x, mean, variance, factor, eps=EPS):
    q = 0.0 if float(factor[0]) == 0 else 1 / float(factor[0])
    return normalise(x, mean * q, variance * q, eps)


def updated(x, mean, variance, factor, fraction=0.999):
    """The three blobs after one forward by the batch's statistics."""
    batch_mean, biased = batch_statistics(x)
    m = x.size // x.shape[1]
    unbiased = biased * (m / (m - 1) if m > 1 else 1.0)
    return mean * fraction + batch_mean, variance * fraction + unbiased, factor * fraction + 1
