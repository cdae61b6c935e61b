"""Initial values of learned blobs: Caffe's seven fillers, drawn from numpy's generator.

What is Caffe's own here:
  * no filler means zeros; a filler without a type is `constant`, whose value is 0 unless set;
  * xavier and msra count the inputs of one output only (FAN_IN), unless variance_norm says otherwise;
  * `sparse` keeps sparse / shape[0] of the elements, and belongs to gaussian alone.

The distributions are Caffe's, the numbers drawn are not: to begin alike, exchange a caffemodel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.errors import NetError, suggestion
from caffeflow.proto.caffe_pb2 import FillerParameter

Shape = tuple[int, ...]
Array = NDArray[np.float32]


def fill(filler: FillerParameter | None, shape: Shape, rng: np.random.Generator) -> Array:
    """Returns a new array with initial values.

    Args:
        filler: The message; None stands for zeros.
        shape: Shape of the blob.
        rng: Where random values are drawn from.

    Raises:
        NetError: An unknown type, or settings that Caffe would refuse.
    """
    if filler is None:
        return np.zeros(shape, np.float32)
    make = _FILLERS.get(filler.type)
    if make is None:
        known = ", ".join(sorted(_FILLERS))
        hint = suggestion(filler.type, _FILLERS)
        raise NetError(f"unknown filler type '{filler.type}'{hint}; the types are {known}")
    if filler.sparse != -1 and filler.type != "gaussian":
        raise NetError(f"sparse is given for filler '{filler.type}'; only gaussian has it")
    return make(filler, shape, rng)


def _constant(filler: FillerParameter, shape: Shape, _rng: np.random.Generator) -> Array:
    return np.full(shape, filler.value, np.float32)


def _uniform(filler: FillerParameter, shape: Shape, rng: np.random.Generator) -> Array:
    if filler.max < filler.min:
        raise NetError(f"filler 'uniform' has min {filler.min:g} above max {filler.max:g}; exchange them")
    return _between(filler.min, filler.max, shape, rng)


def _gaussian(filler: FillerParameter, shape: Shape, rng: np.random.Generator) -> Array:
    if filler.std <= 0:
        raise NetError(f"filler 'gaussian' has std {filler.std:g}; it must be above 0")
    if filler.sparse < -1:
        raise NetError(f"filler 'gaussian' has sparse {filler.sparse}; it must be 0 or more, or left out")
    values = _normal(filler.mean, filler.std, shape, rng)
    if filler.sparse >= 0:
        values *= rng.random(shape, np.float32) < filler.sparse / (shape[0] if shape else 1)
    return values


def _positive_unitball(_filler: FillerParameter, shape: Shape, rng: np.random.Generator) -> Array:
    values = rng.random(shape, np.float32)
    rows = values.reshape(shape[0] if shape else 1, -1)
    rows /= rows.sum(axis=1, keepdims=True)
    return values


def _xavier(filler: FillerParameter, shape: Shape, rng: np.random.Generator) -> Array:
    bound = math.sqrt(3 / _fan(filler, shape))
    return _between(-bound, bound, shape, rng)


def _msra(filler: FillerParameter, shape: Shape, rng: np.random.Generator) -> Array:
    return _normal(0, math.sqrt(2 / _fan(filler, shape)), shape, rng)


def _bilinear(_filler: FillerParameter, shape: Shape, _rng: np.random.Generator) -> Array:
    if len(shape) != 4 or shape[2] != shape[3]:
        found = " x ".join(map(str, shape))
        raise NetError(f"filler 'bilinear' needs a blob with 4 axes and a square kernel; found {found}")
    # Caffe: the centre is (k - 1) / 2 as in BVLC's master; the SSD fork's is off for some k (filler.hpp).
    size = shape[3]
    half = math.ceil(size / 2)
    line = 1 - np.abs(np.arange(size) / half - (size - 1) / (2 * half))
    return np.broadcast_to(np.outer(line, line), shape).astype(np.float32)


def _between(low: float, high: float, shape: Shape, rng: np.random.Generator) -> Array:
    values = rng.random(shape, np.float32)
    values *= np.float32(high - low)
    values += np.float32(low)
    return values


def _normal(mean: float, std: float, shape: Shape, rng: np.random.Generator) -> Array:
    values = rng.standard_normal(shape, np.float32)
    values *= np.float32(std)
    values += np.float32(mean)
    return values


def _fan(filler: FillerParameter, shape: Shape) -> float:
    count = math.prod(shape)
    fan_in = count / shape[0] if shape else 1
    fan_out = count / shape[1] if len(shape) > 1 else count
    if filler.variance_norm == FillerParameter.AVERAGE:
        return (fan_in + fan_out) / 2
    return fan_out if filler.variance_norm == FillerParameter.FAN_OUT else fan_in


_FILLERS: Final[dict[str, Callable[[FillerParameter, Shape, np.random.Generator], Array]]] = {
    "constant": _constant,
    "uniform": _uniform,
    "gaussian": _gaussian,
    "positive_unitball": _positive_unitball,
    "xavier": _xavier,
    "msra": _msra,
    "bilinear": _bilinear,
}
