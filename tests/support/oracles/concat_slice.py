"""Concat and Slice by copying element after element."""

from __future__ import annotations

import numpy as np


def concat(bottoms, *, axis=1):
    shape = list(bottoms[0].shape)
    shape[axis] = sum(b.shape[axis] for b in bottoms)
    y = np.zeros(shape)
    start = 0
    for bottom in bottoms:
        for place in np.ndindex(*bottom.shape):
            target = list(place)
            target[axis] += start
            y[tuple(target)] = bottom[place]
        start += bottom.shape[axis]
    return y


def cut(x, sizes, *, axis=1):
    parts, start = [], 0
    for size in sizes:
        shape = list(x.shape)
        shape[axis] = size
        part = np.zeros(shape)
        for place in np.ndindex(*shape):
            source = list(place)
            source[axis] += start
            part[place] = x[tuple(source)]
        parts.append(part)
        start += size
    return parts
