"""Resizing float images to the numbers that pycaffe's users know: scikit-image's and scipy's rules.

Two rules, both for each axis by itself, so that a result pixel is a weighted sum of few pixels:

* `resize_centred`: pixels are squares, and their middles are mapped (skimage.transform.resize). What lies
  outside counts as `outside`, so that enlarged pictures fade to it at their borders. Nothing is smoothed
  before shrinking: that scikit-image does so by itself came with 0.15, after Caffe.
* `resize_cornered`: pixels are points, and the outermost ones stay in place (scipy.ndimage.zoom).

OpenCV has neither: it repeats the border.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_Taps = list[tuple[NDArray[np.intp], Floats]]  # for each result pixel: where, how much

CENTRED_ORDERS: Final = (0, 1, 3)
CORNERED_ORDERS: Final = (0, 1)


def resize_centred(image: NDArray[Any], height: int, width: int, *, order: int, outside: float) -> Floats:
    """Returns (H, W, K) at another size: nearest (0), bilinear (1), bicubic after Keys (3).

    Raises:
        ValueError: The order is another.
    """
    _check(order, CENTRED_ORDERS, image)
    result = image.astype(np.float64) - outside  # weights that fall outside then count nothing
    for axis, size in enumerate((height, width)):
        old = image.shape[axis]
        positions = (np.arange(size) + 0.5) * (old / size) - 0.5
        result = _apply(result, _taps(positions, order), axis)
    if order == 3:  # scikit-image's clip
        low, high = float(image.min()) - outside, float(image.max()) - outside
        result = result.clip(low, high)
    return result + outside


def resize_cornered(image: NDArray[Any], height: int, width: int, *, order: int) -> Floats:
    """Returns (H, W, K) at another size: nearest (0) or bilinear (1).

    Raises:
        ValueError: The order is another: scipy's are splines through all pixels.
    """
    _check(order, CORNERED_ORDERS, image)
    result = image.astype(np.float64)
    for axis, size in enumerate((height, width)):
        last = image.shape[axis] - 1
        # scipy blackens a last row that rounding moves a hair outside; it is held inside here.
        positions = np.minimum(np.arange(size) * (last / (size - 1) if size > 1 else 1.0), last)
        result = _apply(result, _taps(positions, order), axis)
    return result


def _check(order: int, known: tuple[int, ...], image: NDArray[Any]) -> None:
    if order not in known:
        raise ValueError(
            f"interp_order is {order}; for {image.shape[-1]} channels it can be"
            f" {', '.join(map(str, known))} here"
        )


def _taps(positions: Floats, order: int) -> _Taps:
    if order == 0:
        return [(np.floor(positions + 0.5).astype(np.intp), np.ones_like(positions))]
    first = np.floor(positions).astype(np.intp)
    x = positions - first
    if order == 1:
        return [(first, 1 - x), (first + 1, x)]
    weights = (
        -0.5 * x + x**2 - 0.5 * x**3,
        1 - 2.5 * x**2 + 1.5 * x**3,
        0.5 * x + 2 * x**2 - 1.5 * x**3,
        -0.5 * x**2 + 0.5 * x**3,
    )
    return [(first + offset, weight) for offset, weight in zip(range(-1, 3), weights, strict=True)]


def _apply(image: Floats, taps: _Taps, axis: int) -> Floats:
    size = image.shape[axis]
    along = [-1 if each == axis else 1 for each in range(image.ndim)]
    parts = []
    for places, weights in taps:
        counted = weights * ((places >= 0) & (places < size))
        parts.append(image.take(places.clip(0, size - 1), axis) * counted.reshape(along))
    total: Floats = sum(parts[1:], start=parts[0])
    return total
