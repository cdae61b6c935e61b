"""Reduction by loops."""

from __future__ import annotations

import numpy as np

TERMS = {"SUM": float, "ASUM": abs, "SUMSQ": lambda v: v * v, "MEAN": float}


def reduction(x, *, operation="SUM", axis=0, coeff=1.0):
    y = np.zeros(x.shape[:axis])
    for place in np.ndindex(*y.shape):
        values = [TERMS[operation](float(v)) for v in np.ravel(x[place])]
        y[place] = coeff * sum(values) / (len(values) if operation == "MEAN" else 1)
    return y
