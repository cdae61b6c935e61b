"""Eltwise by loops."""

from __future__ import annotations

import math

import numpy as np


def total(bottoms, coeff=None):
    y = np.zeros(bottoms[0].shape)
    for place in np.ndindex(*y.shape):
        y[place] = sum(
            c * float(b[place]) for b, c in zip(bottoms, coeff or [1.0] * len(bottoms), strict=True)
        )
    return y


def product(bottoms):
    y = np.zeros(bottoms[0].shape)
    for place in np.ndindex(*y.shape):
        y[place] = math.prod(float(b[place]) for b in bottoms)
    return y


def winner(values):
    """Index of the bottom that gives the maximum: the second beats the first in a tie, later ones do not."""
    best = 0 if values[0] > values[1] else 1
    for index in range(2, len(values)):
        if values[index] > values[best]:
            best = index
    return best


def maximum(bottoms):
    y = np.zeros(bottoms[0].shape)
    for place in np.ndindex(*y.shape):
        y[place] = max(float(b[place]) for b in bottoms)
    return y


def maximum_gradient(bottoms, dy):
    grads = [np.zeros(b.shape) for b in bottoms]
    for place in np.ndindex(*dy.shape):
        grads[winner([float(b[place]) for b in bottoms])][place] = dy[place]
    return grads
