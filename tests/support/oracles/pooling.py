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


def weighed(x, *, kernel, stride=(1, 1), floor=False):
    """The values' average with themselves as weights, as STOCHASTIC has it in TEST; 0 where they sum to none."""
    y, cells = _out(x, windows(x.shape, kernel=kernel, stride=stride, pad=(0, 0), floor=floor))
    height, width = x.shape[2:]
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for oh, ow, (top, bottom, left, right) in cells:
                total = squares = 0.0
                for h in range(top, min(bottom, height)):
                    for w in range(left, min(right, width)):
                        total += x[n, c, h, w]
                        squares += x[n, c, h, w] ** 2
                y[n, c, oh, ow] = squares / total if total > 0 else 0.0
    return y


def drawn(x, shares, *, kernel, stride=(1, 1), floor=False):
    """The first value of a window where the running sum reaches the share of its sum; and its place."""
    y, cells = _out(x, windows(x.shape, kernel=kernel, stride=stride, pad=(0, 0), floor=floor))
    places = np.zeros(y.shape, int)
    height, width = x.shape[2:]
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for oh, ow, (top, bottom, left, right) in cells:
                spots = [
                    (h, w) for h in range(top, min(bottom, height)) for w in range(left, min(right, width))
                ]
                limit = shares[n, c, oh, ow] * sum(x[n, c, h, w] for h, w in spots)
                running = 0.0
                for h, w in spots:
                    running += x[n, c, h, w]
                    if running >= limit:
                        y[n, c, oh, ow], places[n, c, oh, ow] = x[n, c, h, w], h * width + w
                        break
    return y, places


def pyramid(x, *, height, pool):
    """The values of all levels of an SPP: 2^i windows along each axis, padded where the size is no multiple."""
    levels = []
    for bins in (2**level for level in range(height)):
        kernel = tuple(math.ceil(size / bins) for size in x.shape[2:])
        pad = tuple((k * bins - size + 1) // 2 for k, size in zip(kernel, x.shape[2:], strict=True))
        levels.append(pool(x, kernel=kernel, stride=kernel, pad=pad))
    if height == 1:
        return levels[0]
    return np.concatenate([level.reshape(len(x), -1) for level in levels], axis=1)


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
