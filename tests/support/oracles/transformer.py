"""Caffe's data transformer for one record, by loops: out = (pixel - mean) * scale, cropped and mirrored."""

from __future__ import annotations

import numpy as np


def transform(
    planes: np.ndarray,
    *,
    crop: int = 0,
    top: int = 0,
    left: int = 0,
    mirror: bool = False,
    mean_values: tuple[float, ...] = (),
    mean_image: np.ndarray | None = None,
    scale: float = 1.0,
) -> np.ndarray:
    """Returns (C, h, w) float32; the window begins at (top, left) of the (C, H, W) record."""
    channels, height, width = planes.shape
    out_height, out_width = (crop, crop) if crop else (height, width)
    out = np.zeros((channels, out_height, out_width), np.float32)
    for channel in range(channels):
        for y in range(out_height):
            for x in range(out_width):
                mean = np.float32(0)
                if mean_image is not None:  # as large as the record, so taken at the record's place
                    mean = mean_image[channel, top + y, left + x]
                elif mean_values:
                    mean = np.float32(mean_values[channel if len(mean_values) > 1 else 0])
                pixel = np.float32(planes[channel, top + y, left + x])
                place = out_width - 1 - x if mirror else x
                out[channel, y, place] = (pixel - mean) * np.float32(scale)
    return out


def splitmix64(counter: int) -> int:
    """Returns number `counter` of the SplitMix64 sequence from state 0 (Steele, Lea and Flood, 2014)."""
    whole = 2**64 - 1
    mixed = (counter * 0x9E3779B97F4A7C15) & whole
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & whole
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & whole
    return mixed ^ (mixed >> 31)
