"""InnerProduct by loops."""

from __future__ import annotations

import math

import numpy as np


def inner_product(x, weight, bias=None, *, axis=1, transpose=False):
    """All axes from `axis` on are one; weight: (K, inputs), or (inputs, K) with transpose."""
    outputs = weight.shape[1] if transpose else weight.shape[0]
    rows = x.reshape(math.prod(x.shape[:axis]), -1)
    y = np.zeros((len(rows), outputs))
    for m in range(len(rows)):
        for k in range(outputs):
            total = 0.0 if bias is None else float(bias[k])
            for i in range(rows.shape[1]):
                total += float(rows[m, i]) * float(weight[i, k] if transpose else weight[k, i])
            y[m, k] = total
    return y.reshape(*x.shape[:axis], outputs)
