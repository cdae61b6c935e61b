"""LRN by loops over the neighbourhood of every element."""

from __future__ import annotations

import numpy as np


def across(x, *, size, alpha, beta, k):
    y = np.zeros(x.shape)
    for n, c, h, w in np.ndindex(*x.shape):
        total = 0.0
        for j in range(max(c - size // 2, 0), min(c + size // 2, x.shape[1] - 1) + 1):
            total += float(x[n, j, h, w]) ** 2
        y[n, c, h, w] = x[n, c, h, w] * (k + alpha / size * total) ** -beta
    return y


def within(x, *, size, alpha, beta):
    """The divisor of the mean is size squared everywhere; k plays no part."""
    y = np.zeros(x.shape)
    for n, c, h, w in np.ndindex(*x.shape):
        total = 0.0
        for i in range(max(h - size // 2, 0), min(h + size // 2, x.shape[2] - 1) + 1):
            for j in range(max(w - size // 2, 0), min(w + size // 2, x.shape[3] - 1) + 1):
                total += float(x[n, c, i, j]) ** 2
        y[n, c, h, w] = x[n, c, h, w] * (1 + alpha * total / size**2) ** -beta
    return y
