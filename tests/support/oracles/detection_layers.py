"""Permute, Normalize, SmoothL1Loss, PriorBox and Convolution's tf_pad by loops, with their gradients."""

from __future__ import annotations

import math

import numpy as np

f32 = np.float32


def permute(x, order):
    y = np.zeros([x.shape[axis] for axis in order])
    for place in np.ndindex(*x.shape):
        y[tuple(place[axis] for axis in order)] = x[place]
    return y


def lengths(x, *, across_spatial, eps):
    """The length that each element is divided by."""
    n = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        total = 0.0
        for other in np.ndindex(*x.shape[1:]):
            if across_spatial or other[1:] == place[2:]:
                total += float(x[(place[0], *other)]) ** 2
        n[place] = math.sqrt(total + eps)
    return n


def normalize(x, scale, *, across_spatial=True, eps=1e-10):
    n = lengths(x, across_spatial=across_spatial, eps=eps)
    y = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        factor = scale[place[1]] if scale.shape else scale[()]
        y[place] = factor * x[place] / n[place]
    return y


def normalize_gradient(x, scale, dy, *, across_spatial=True, eps=1e-10):
    """By the bottom, as Caffe has it: with factors that differ it is not the derivative."""
    n = lengths(x, across_spatial=across_spatial, eps=eps)
    dx = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        along = 0.0
        for other in np.ndindex(*x.shape[1:]):
            if across_spatial or other[1:] == place[2:]:
                along += float(x[(place[0], *other)]) * float(dy[(place[0], *other)])
        factor = scale[place[1]] if scale.shape else scale[()]
        dx[place] = factor * (dy[place] - x[place] * along / n[place] ** 2) / n[place]
    return dx


def smooth_l1(a, b, weight=None):
    """The loss, and its gradient by the first bottom; the weight comes into the gradient once."""
    total = 0.0
    da = np.zeros(a.shape)
    ones = np.ones(a.size)
    triples = zip(a.flat, b.flat, ones if weight is None else weight.flat, strict=True)
    for place, (p, q, w) in zip(np.ndindex(*a.shape), triples, strict=True):
        d = (float(p) - float(q)) * float(w)
        total += 0.5 * d * d if abs(d) < 1 else abs(d) - 0.5
        da[place] = max(-1.0, min(1.0, d)) / a.shape[0]
    return np.array(total / a.shape[0]), da


def all_ratios(given, *, flip):
    ratios = [f32(1)]
    for ratio in given:
        if all(abs(f32(ratio) - old) >= 1e-6 for old in ratios):
            ratios.append(f32(ratio))
            if flip:
                ratios.append(f32(1 / float(f32(ratio))))
    return ratios


def widths_and_heights(min_size, max_size, ratios, *, reduce):
    sides = []
    for s, smallest in enumerate(min_size):
        side = int(f32(smallest))
        sides.append((side / 2, side / 2) if reduce else (side, side))
        if max_size:
            sides.append((math.sqrt(side * int(f32(max_size[s]))),) * 2)
        sides += [(side * math.sqrt(ratio), side / math.sqrt(ratio)) for ratio in ratios[1:]]
    return sides


def prior_box(
    feature,
    image,
    *,
    min_size,
    max_size=(),
    ratio=(),
    flip=True,
    clip=False,
    variance=(0.1,),
    step=None,
    offset=0.5,
    reduce=False,
):
    """Boxes and variances; feature and image are (height, width); numbers that Caffe keeps in float are."""
    steps = [f32(image[k]) / f32(feature[k]) for k in range(2)] if step is None else [f32(s) for s in step]
    sides = widths_and_heights(min_size, max_size, all_ratios(ratio, flip=flip), reduce=reduce)
    boxes = []
    for h in range(feature[0]):
        for w in range(feature[1]):
            x, y = (f32(w) + f32(offset)) * steps[1], (f32(h) + f32(offset)) * steps[0]
            for wide, high in sides:
                half_w, half_h = float(f32(wide)) / 2, float(f32(high)) / 2
                boxes.append((float(x) - half_w) / image[1])
                boxes.append((float(y) - half_h) / image[0])
                boxes.append((float(x) + half_w) / image[1])
                boxes.append((float(y) + half_h) / image[0])
    if clip:
        boxes = [min(max(value, 0.0), 1.0) for value in boxes]
    spread = [float(f32(v)) for v in (variance if len(variance) == 4 else variance * 4)]
    return np.array([[boxes, spread * (len(boxes) // 4)]])


def same_padding(size, kernel, stride, pad):
    """(zeros before, pad that counts) along an axis, as the fork has them from the first forward on."""
    out = (size + 2 * pad - kernel) // stride + 1
    needed = (out - 1) * stride + kernel - size
    low = int(needed / 2.0)
    high = needed - low
    return (0 if low == 0 else high), high, out


def tf_convolution(x, weight, bias, *, stride, pad):
    """Convolution with tf_pad SAME: x (N, C, H, W), weight (K, C, h, w)."""
    rows, columns = (same_padding(x.shape[2 + k], weight.shape[2 + k], stride[k], pad[k]) for k in range(2))
    y = np.zeros((x.shape[0], weight.shape[0], rows[2], columns[2]))
    for n, k, i, j in np.ndindex(*y.shape):
        total = float(bias[k])
        for c, u, v in np.ndindex(*weight.shape[1:]):
            a, b = i * stride[0] - rows[0] + u, j * stride[1] - columns[0] + v
            if 0 <= a < x.shape[2] and 0 <= b < x.shape[3]:
                total += float(x[n, c, a, b]) * float(weight[k, c, u, v])
        y[n, k, i, j] = total
    return y


def tf_convolution_gradient(x, weight, dy, *, stride, pad):
    """The bottom's gradient as col2im scatters it: with zeros on both sides, whatever the forward did."""
    rows, columns = (same_padding(x.shape[2 + k], weight.shape[2 + k], stride[k], pad[k]) for k in range(2))
    dx = np.zeros(x.shape)
    for n, k, i, j in np.ndindex(*dy.shape):
        for c, u, v in np.ndindex(*weight.shape[1:]):
            a, b = i * stride[0] - rows[1] + u, j * stride[1] - columns[1] + v
            if 0 <= a < x.shape[2] and 0 <= b < x.shape[3]:
                dx[n, c, a, b] += dy[n, k, i, j] * weight[k, c, u, v]
    return dx
