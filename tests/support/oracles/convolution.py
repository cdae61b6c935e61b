"""Convolution and Deconvolution by loops over every output element and every kernel element."""

from __future__ import annotations

from itertools import product

import numpy as np


def convolution(x, weight, bias=None, *, stride, pad, dilation, group=1):
    """x: (N, C, spatial…), weight: (K, C / group, kernel…); settings hold one value for each spatial axis."""
    kernel = weight.shape[2:]
    sizes = tuple(
        (size + 2 * p - (d * (k - 1) + 1)) // s + 1
        for size, k, s, p, d in zip(x.shape[2:], kernel, stride, pad, dilation, strict=True)
    )
    y = np.zeros((x.shape[0], weight.shape[0], *sizes))
    inputs, outputs = weight.shape[1], weight.shape[0] // group
    for n, k, *place in np.ndindex(*y.shape):
        total = 0.0 if bias is None else float(bias[k])
        for c in range(inputs):
            for offset in product(*map(range, kernel)):
                source = [
                    o * s - p + t * d
                    for o, s, p, t, d in zip(place, stride, pad, offset, dilation, strict=True)
                ]
                if all(0 <= i < size for i, size in zip(source, x.shape[2:], strict=True)):
                    total += float(x[(n, k // outputs * inputs + c, *source)]) * float(
                        weight[(k, c, *offset)]
                    )
        y[(n, k, *place)] = total
    return y


def deconvolution(x, weight, bias=None, *, stride, pad, dilation, group=1):
    """x: (N, C, spatial…), weight: (C, K / group, kernel…): each input element is spread over the output."""
    kernel = weight.shape[2:]
    sizes = tuple(
        s * (size - 1) + d * (k - 1) + 1 - 2 * p
        for size, k, s, p, d in zip(x.shape[2:], kernel, stride, pad, dilation, strict=True)
    )
    inputs, outputs = weight.shape[0] // group, weight.shape[1]
    y = np.zeros((x.shape[0], outputs * group, *sizes))
    for n, c, *place in np.ndindex(*x.shape):
        for k in range(outputs):
            for offset in product(*map(range, kernel)):
                target = [
                    i * s - p + t * d
                    for i, s, p, t, d in zip(place, stride, pad, offset, dilation, strict=True)
                ]
                if all(0 <= o < size for o, size in zip(target, sizes, strict=True)):
                    y[(n, c // inputs * outputs + k, *target)] += x[(n, c, *place)] * weight[(c, k, *offset)]
    if bias is not None:
        for k in range(y.shape[1]):
            y[:, k] += bias[k]
    return y
