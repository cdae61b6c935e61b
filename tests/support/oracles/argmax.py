"""ArgMax by sorting (value, index) pairs downwards, so that of equal values the larger index is first."""

from __future__ import annotations

import numpy as np

from tests.support.oracles.softmax import positions


def _best(values, top_k):
    pairs = sorted(((float(v), i) for i, v in enumerate(values)), reverse=True)
    return pairs[:top_k]


def flat(x, *, top_k=1, with_values=False):
    y = np.zeros((x.shape[0], 2 if with_values else 1, top_k, *(1,) * (x.ndim - 3)))
    for n in range(x.shape[0]):
        for place, (value, index) in enumerate(_best(x[n].flat, top_k)):
            y[n, 0, place] = index
            if with_values:
                y[n, 1, place] = value
    return y


def along(x, *, axis, top_k=1, values=False):
    shape = list(x.shape)
    shape[axis] = top_k
    y = np.zeros(shape)
    for line in positions(x.shape, axis):
        y[line] = [value if values else index for value, index in _best(x[line], top_k)]
    return y
