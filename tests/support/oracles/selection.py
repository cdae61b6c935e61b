"""Tile, Crop, BatchReindex, Filter, Embed and Im2col by loops."""

from __future__ import annotations

import numpy as np


def tile(x, *, axis, tiles):
    shape = list(x.shape)
    shape[axis] *= tiles
    y = np.zeros(shape)
    for place in np.ndindex(*shape):
        source = list(place)
        source[axis] %= x.shape[axis]
        y[place] = x[tuple(source)]
    return y


def crop(x, measure, *, axis, offsets):
    """`offsets` holds one for each axis from `axis` on."""
    y = np.zeros((*x.shape[:axis], *measure.shape[axis:]))
    for place in np.ndindex(*y.shape):
        source = [at + (offsets[n - axis] if n >= axis else 0) for n, at in enumerate(place)]
        y[place] = x[tuple(source)]
    return y


def reindexed(x, numbers):
    y = np.zeros((len(numbers), *x.shape[1:]))
    for row, number in enumerate(numbers):
        y[row] = x[int(number)]
    return y


def reindexed_gradient(x, numbers, dy):
    dx = np.zeros(x.shape)
    for row, number in enumerate(numbers):
        dx[int(number)] += dy[row]
    return dx


def filtered(x, selector):
    kept = [x[row] for row, value in enumerate(selector.flat) if value != 0]
    return np.array(kept).reshape(-1, *x.shape[1:])


def filtered_gradient(x, selector, dy):
    dx = np.zeros(x.shape)
    kept = 0
    for row, value in enumerate(selector.flat):
        if value != 0:
            dx[row] = dy[kept]
            kept += 1
    return dx


def embedded(x, weight, bias=None):
    y = np.zeros((*x.shape, weight.shape[1]))
    for place in np.ndindex(*x.shape):
        for output in range(weight.shape[1]):
            y[(*place, output)] = weight[int(x[place]), output]
            if bias is not None:
                y[(*place, output)] += bias[output]
    return y


def im2col(x, *, axis, kernel, stride, pad, dilation):
    """The channel is the old one, then the place in the window in row-major order."""
    batch, channels, sizes = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    out = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, s, p, d in zip(sizes, kernel, stride, pad, dilation, strict=True)
    ]
    window = list(np.ndindex(*kernel))
    y = np.zeros((*batch, channels * len(window), *out))
    for row in np.ndindex(*batch):
        for channel in range(channels):
            for number, within in enumerate(window):
                for place in np.ndindex(*out):
                    source = [
                        at * s - p + inside * d
                        for at, s, p, inside, d in zip(place, stride, pad, within, dilation, strict=True)
                    ]
                    if all(0 <= at < size for at, size in zip(source, sizes, strict=True)):
                        value = x[(*row, channel, *source)]
                        y[(*row, channel * len(window) + number, *place)] = value
    return y
