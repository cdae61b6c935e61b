"""Windows of random size and shape, how they are shown, and changed colours, by loops.

A record has 44 numbers in [0, 1): the order of colour changes, brightness, contrast, saturation, and then ten
tries of share, aspect, row, column.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from itertools import permutations

import numpy as np

WHOLE = 2**64
GAMMA = 0x9E3779B97F4A7C15
COUNT = 44


def units(seed: int, name: str, record: int) -> list[float]:
    """Returns the numbers of a record: SplitMix64 from a state that seed and name decide."""
    base = int.from_bytes(blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest(), "little")
    found = []
    for number in range(COUNT):
        state = (base + (COUNT * record + number + 1) * GAMMA) % WHOLE
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % WHOLE
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % WHOLE
        state ^= state >> 31
        found.append((state // 2**11) / 2**53)
    return found


def window(
    kind: str | None,
    scale: tuple[float, float] | None,
    size: tuple[int, int],
    wanted: tuple[int, int],
    numbers: list[float],
) -> tuple[int, int, int, int]:
    """Returns top, left, height, width; top and left are negative where padding shows."""
    share, aspect, row, column = numbers[4:8]
    if kind == "inception":
        low, high = scale or (0.08, 1.0)
        for number in range(10):
            share, aspect, row, column = numbers[4 + 4 * number : 8 + 4 * number]
            area = (low + share * (high - low)) * size[0] * size[1]
            log_ratio = math.log(3 / 4) + aspect * (math.log(4 / 3) - math.log(3 / 4))
            ratio = math.exp(log_ratio) * wanted[1] / wanted[0]
            width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 1 <= width <= size[1] and 1 <= height <= size[0]:
                return placed(size, height, width, row, column)
        return middle(size, wanted)
    if scale is not None:
        share = scale[0] + share * (scale[1] - scale[0])
        largest = min(size[0] / wanted[0], size[1] / wanted[1])
        height = max(1, min(size[0], round(wanted[0] * largest * math.sqrt(share))))
        width = max(1, min(size[1], round(wanted[1] * largest * math.sqrt(share))))
        return placed(size, height, width, row, column)
    above = wanted[0] // 8 if kind == "crop" and size[0] <= wanted[0] else 0
    beside = wanted[1] // 8 if kind == "crop" and size[1] <= wanted[1] else 0
    top, left, height, width = placed(
        (size[0] + 2 * above, size[1] + 2 * beside), wanted[0], wanted[1], row, column
    )
    return top - above, left - beside, height, width


def placed(
    size: tuple[int, int], height: int, width: int, row: float, column: float
) -> tuple[int, int, int, int]:
    return math.floor(row * (size[0] - height + 1)), math.floor(column * (size[1] - width + 1)), height, width


def middle(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int, int, int]:
    """Returns the largest window in the middle whose shape is within 3/4 and 4/3 of that of the crop."""
    shape = wanted[1] / wanted[0]
    height, width = size
    if width / height < shape * 3 / 4:
        height = max(1, round(width / (shape * 3 / 4)))
    elif width / height > shape * 4 / 3:
        width = max(1, round(height * shape * 4 / 3))
    return (size[0] - height) // 2, (size[1] - width) // 2, height, width


def shown(picture: np.ndarray, at: tuple[int, int, int, int], wanted: tuple[int, int]) -> np.ndarray:
    """Returns (h, w, C) in double precision, not rounded: bilinear, or the mean over an area."""
    top, left, height, width = at
    part = np.zeros((height, width, picture.shape[2]))
    for y in range(height):
        for x in range(width):
            if 0 <= top + y < picture.shape[0] and 0 <= left + x < picture.shape[1]:
                part[y, x] = picture[top + y, left + x]
    if (height, width) == wanted:
        return part
    averages = height / wanted[0] > 2 and width / wanted[1] > 2 and picture.shape[2] <= 4
    weights_of = area_weights if averages else linear_weights
    out = np.zeros((*wanted, picture.shape[2]))
    for y, rows in enumerate(weights_of(height, wanted[0])):
        for x, columns in enumerate(weights_of(width, wanted[1])):
            for row, of_row in rows:
                for column, of_column in columns:
                    out[y, x] += of_row * of_column * part[row, column]
    return out


def linear_weights(old: int, new: int) -> list[list[tuple[int, float]]]:
    """Returns for each new pixel the two old ones next to its middle, and their weights."""
    found = []
    for place in range(new):
        at = min(max((place + 0.5) * old / new - 0.5, 0), old - 1)
        low = min(int(at), max(old - 2, 0))
        found.append([(low, 1 - (at - low)), (min(low + 1, old - 1), at - low)])
    return found


def area_weights(old: int, new: int) -> list[list[tuple[int, float]]]:
    """Returns for each new pixel the old ones below it, and which share of it they are."""
    found = []
    for place in range(new):
        begin, end = place * old / new, (place + 1) * old / new
        overlaps = [(pixel, min(pixel + 1, end) - max(pixel, begin)) for pixel in range(old)]
        found.append([(pixel, overlap * new / old) for pixel, overlap in overlaps if overlap > 0])
    return found


def jittered(picture: np.ndarray, strength: float, numbers: list[float]) -> np.ndarray:
    """Returns (h, w, C) in double precision, neither rounded nor held in range."""
    out = picture.astype(np.float64)
    height, width, channels = out.shape
    order = list(permutations(["brightness", "contrast", "saturation"]))[int(numbers[0] * 6)]
    factors = dict(
        zip(
            ["brightness", "contrast", "saturation"],
            (1 + strength * (2 * n - 1) for n in numbers[1:4]),
            strict=True,
        )
    )
    for what in order:
        factor = factors[what]
        grays = np.array([[gray_of(out[y, x]) for x in range(width)] for y in range(height)])
        mean = sum(grays.ravel().tolist()) / grays.size
        for y in range(height):
            for x in range(width):
                even = {"brightness": 0.0, "contrast": mean, "saturation": grays[y, x]}[what]
                for channel in range(channels):
                    out[y, x, channel] = factor * out[y, x, channel] + (1 - factor) * even
    return out


def gray_of(pixel: np.ndarray) -> float:
    if len(pixel) == 1:
        return float(pixel[0])
    blue, green, red = pixel.tolist()
    return 0.114 * blue + 0.587 * green + 0.299 * red
