"""Caffe's solvers, one number at a time, in double precision.

Written from the formulas: every weight is a plain float in a list, and nothing is shared with the
code under test. `params` is a list of (lr_mult, decay_mult), one for each blob; a blob is a list of
floats.
"""

from __future__ import annotations

import math


def solve(
    solver_type,
    blobs,
    gradients,
    rates,
    *,
    params=None,
    momentum=0.0,
    momentum2=0.999,
    rms_decay=0.99,
    delta=1e-8,
    weight_decay=0.0,
    regularization="L2",
    clip=-1.0,
    iter_size=1,
):
    """Returns the weights after each iteration.

    `gradients[iteration][sub_batch][blob][element]`; sub-batches are summed.
    """
    weights = [[float(value) for value in blob] for blob in blobs]
    params = params or [(1.0, 1.0)] * len(blobs)
    first = [[0.0] * len(blob) for blob in blobs]
    second = [[0.0] * len(blob) for blob in blobs]
    course = []
    for iteration, rate in enumerate(rates):
        grads = [[0.0] * len(blob) for blob in blobs]
        for sub_batch in gradients[iteration]:
            for b, blob in enumerate(sub_batch):
                for e, value in enumerate(blob):
                    grads[b][e] += value
        if clip >= 0:
            norm = math.sqrt(sum(value * value for blob in grads for value in blob))
            if norm > clip:
                grads = [[value * clip / norm for value in blob] for blob in grads]
        for b, (lr_mult, decay_mult) in enumerate(params):
            for e in range(len(weights[b])):
                w, g = weights[b][e], grads[b][e] / iter_size
                g += weight_decay * decay_mult * _penalty(w, regularization)
                step, first[b][e], second[b][e] = _update(
                    solver_type, g, first[b][e], second[b][e], rate * lr_mult, iteration,
                    momentum, momentum2, rms_decay, delta,
                )  # fmt: skip
                weights[b][e] = w - step
        course.append([list(blob) for blob in weights])
    return course


def _penalty(weight, regularization):
    if regularization == "L2":
        return weight
    return 0.0 if weight == 0 else math.copysign(1.0, weight)


def _update(kind, g, h, k, a, iteration, momentum, momentum2, rms_decay, delta):
    if kind == "SGD":
        h = momentum * h + a * g
        return h, h, k
    if kind == "Nesterov":
        new = momentum * h + a * g
        return (1 + momentum) * new - momentum * h, new, k
    if kind == "AdaGrad":
        h += g * g
        return a * g / (math.sqrt(h) + delta), h, k
    if kind == "RMSProp":
        h = rms_decay * h + (1 - rms_decay) * g * g
        return a * g / (math.sqrt(h) + delta), h, k
    if kind == "AdaDelta":
        h = momentum * h + (1 - momentum) * g * g
        u = g * math.sqrt((k + delta) / (h + delta))
        k = momentum * k + (1 - momentum) * u * u
        return a * u, h, k
    if kind == "Adam":
        t = iteration + 1
        h = momentum * h + (1 - momentum) * g
        k = momentum2 * k + (1 - momentum2) * g * g
        correction = math.sqrt(1 - momentum2**t) / (1 - momentum**t)
        return a * correction * h / (math.sqrt(k) + delta), h, k
    raise ValueError(kind)
