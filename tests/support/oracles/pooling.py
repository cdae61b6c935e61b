"""Pooling by loops over windows, with Caffe's sizes and divisors."""

from __future__ import annotations

import math

import numpy as np

LOWEST = float(np.finfo(np.float32).min)


def pooled_size(size, k, s, p, *, floor, any_pad):
    """The output size along one axis; `any_pad`: whether either axis is padded."""
    steps = (size + 2 * p - k) / s
    out = (math.floor(steps) if floor else math.ceil(steps)) + 1
    if any_pad and (out - 1) * s >= size + p:
        out -= 1
    return out


def windows(shape, *, kernel, stride, pad, floor):
    """Yields (row, column, (top, bottom, left, right)) of each window, the ends cut at size + pad."""
    out = [
        pooled_size(shape[2 + a], kernel[a], stride[a], pad[a], floor=floor, any_pad=any(pad)) for a in (0, 1)
    ]
    for oh in range(out[0]):
        for ow in range(out[1]):
            top, left = oh * stride[0] - pad[0], ow * stride[1] - pad[1]
            yield (
                oh,
                ow,
                (
                    top,
                    min(top + kernel[0], shape[2] + pad[0]),
                    left,
                    min(left + kernel[1], shape[3] + pad[1]),
                ),
            )


def _out(x, where):
    cells = list(where)
    return np.zeros((*x.shape[:2], cells[-1][0] + 1, cells[-1][1] + 1)), cells


def maximum(x, *, kernel, stride=(1, 1), pad=(0, 0), floor=False):
    """The maxima, and their places h * W + w as floats; -FLT_MAX and -1 for an empty window."""
    y, cells = _out(x, windows(x.shape, kernel=kernel, stride=stride, pad=pad, floor=floor))
    mask = np.full(y.shape, -1.0)
    height, width = x.shape[2:]
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for oh, ow, (top, bottom, left, right) in cells:
                best, place = LOWEST, -1
                for h in range(max(top, 0), min(bottom, height)):
                    for w in range(max(left, 0), min(right, width)):
                        if x[n, c, h, w] > best:
                            best, place = x[n, c, h, w], h * width + w
                y[n, c, oh, ow], mask[n, c, oh, ow] = best, place
    return y, mask


def average(x, *, kernel, stride=(1, 1), pad=(0, 0), floor=False):
    """The averages: padding counts in the divisor, what lies beyond the padding does not."""
    y, cells = _out(x, windows(x.shape, kernel=kernel, stride=stride, pad=pad, floor=floor))
    height, width = x.shape[2:]
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for oh, ow, (top, bottom, left, right) in cells:
                area = (bottom - top) * (right - left)
                total = 0.0
                for h in range(max(top, 0), min(bottom, height)):
                    for w in range(max(left, 0), min(right, width)):
                        total += x[n, c, h, w]
                y[n, c, oh, ow] = total / area if area else math.nan
    return y
