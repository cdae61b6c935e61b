"""Activations and arithmetic, element by element, from the formulas."""

from __future__ import annotations

import math

import numpy as np


def each(function, *arrays):
    """Applies a function of floats to every element."""
    y = np.zeros(arrays[0].shape)
    for place in np.ndindex(*y.shape):
        y[place] = function(*(float(array[place]) for array in arrays))
    return y


def relu(x, slope=0.0):
    return each(lambda v: max(v, 0.0) + slope * min(v, 0.0), x)


def relu_gradient(x, dy, slope=0.0):
    return each(lambda v, d: d if v > 0 else slope * d, x, dy)


def clip(x, low, high):
    return each(lambda v: max(low, min(v, high)), x)


def clip_gradient(x, dy, low, high):
    """At the bounds the gradient passes."""
    return each(lambda v, d: d if low <= v <= high else 0.0, x, dy)


def relu6_gradient(x, dy):
    """At 0 and at 6 there is no gradient."""
    return each(lambda v, d: d if 0 < v < 6 else 0.0, x, dy)


def prelu(x, slope):
    """slope: (C,) or a scalar."""
    y = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        a = float(slope) if slope.ndim == 0 else float(slope[place[1]])
        y[place] = max(float(x[place]), 0.0) + a * min(float(x[place]), 0.0)
    return y


def elu(x, alpha=1.0):
    return each(lambda v: v if v > 0 else alpha * (math.exp(v) - 1), x)


def sigmoid(x):
    return each(lambda v: 0.5 * math.tanh(0.5 * v) + 0.5, x)


def tanh(x):
    return each(math.tanh, x)


def swish(x, beta=1.0):
    return each(lambda v: v / (1 + math.exp(-beta * v)), x)


def bnll(x):
    return each(lambda v: v + math.log(1 + math.exp(-v)) if v > 0 else math.log(1 + math.exp(v)), x)


def threshold(x, bound=0.0):
    return each(lambda v: 1.0 if v > bound else 0.0, x)


def power(x, power=1.0, scale=1.0, shift=0.0):
    if power == 0:
        return np.ones(x.shape)
    return each(lambda v: (shift + scale * v) ** power, x)


def exponential(x, base=-1.0, scale=1.0, shift=0.0):
    base = math.e if base == -1 else base
    return each(lambda v: base ** (shift + scale * v), x)


def logarithm(x, base=-1.0, scale=1.0, shift=0.0):
    base = math.e if base == -1 else base
    return each(lambda v: math.log(shift + scale * v) / math.log(base), x)
