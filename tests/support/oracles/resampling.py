"""Resizing by loops over pixels: what lies outside counts as a given value, or the corners stay in place."""

from __future__ import annotations

import math

import numpy as np


def resize_centred(image: np.ndarray, height: int, width: int, *, order: int, outside: float) -> np.ndarray:
    """Returns the picture at another size, with the middles of pixels mapped; order 0, 1 or 3."""
    out = np.empty((height, width, image.shape[2]))
    for row in range(height):
        for column in range(width):
            y = (row + 0.5) * image.shape[0] / height - 0.5
            x = (column + 0.5) * image.shape[1] / width - 0.5
            for channel in range(image.shape[2]):
                value = 0.0
                for at_y, weight_y in _kernel(y, order):
                    for at_x, weight_x in _kernel(x, order):
                        is_inside = 0 <= at_y < image.shape[0] and 0 <= at_x < image.shape[1]
                        pixel = image[at_y, at_x, channel] if is_inside else outside
                        value += weight_y * weight_x * pixel
                if order == 3:
                    value = min(max(value, image.min()), image.max())
                out[row, column, channel] = value
    return out


def resize_cornered(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns the picture at another size, linear, the outermost pixels kept in place; sizes above 1."""
    out = np.empty((height, width, image.shape[2]))
    for row in range(height):
        for column in range(width):
            y = row * (image.shape[0] - 1) / (height - 1)
            x = column * (image.shape[1] - 1) / (width - 1)
            for channel in range(image.shape[2]):
                value = 0.0
                for at_y, weight_y in _kernel(y, 1):
                    for at_x, weight_x in _kernel(x, 1):
                        if weight_y * weight_x > 1e-12:
                            value += weight_y * weight_x * image[at_y, at_x, channel]
                out[row, column, channel] = value
    return out


def _kernel(position: float, order: int) -> list[tuple[int, float]]:
    if order == 0:
        return [(math.floor(position + 0.5), 1.0)]
    first = math.floor(position)
    reach = {1: (0, 1), 3: (-1, 0, 1, 2)}[order]
    return [(first + step, _weight(abs(position - first - step), order)) for step in reach]


def _weight(distance: float, order: int) -> float:
    if order == 1:
        return max(0.0, 1 - distance)
    if distance <= 1:  # Keys' cubic convolution with a = -1/2
        return 1.5 * distance**3 - 2.5 * distance**2 + 1
    return -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2 if distance < 2 else 0.0
