"""Scale and Bias by loops: the factor's index is a run of the element's."""

from __future__ import annotations

import numpy as np


def scale(x, factor, bias=None, *, axis=1):
    y = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        run = place[axis : axis + factor.ndim]
        y[place] = float(x[place]) * float(factor[run]) + (0.0 if bias is None else float(bias[run]))
    return y


def add(x, bias, *, axis=1):
    y = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        y[place] = float(x[place]) + float(bias[place[axis : axis + bias.ndim]])
    return y
