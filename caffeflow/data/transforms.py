"""What happens to a picture between decoding and writing: pure functions on (H, W[, C]) arrays, BGR."""

from __future__ import annotations

import numpy as np

from caffeflow import images
from caffeflow.data.settings import BuildSettings
from caffeflow.images import Image


def transform(image: Image, settings: BuildSettings) -> Image:
    """Returns a decoded picture as the settings want it: gray, then resized."""
    if settings.gray and image.ndim == 3:
        image = images.to_gray(image)
    if settings.resize is not None:
        return images.resize_squash(image, *settings.resize)
    if settings.short_side is not None:
        return images.resize_short_side(image, settings.short_side)
    factor = scale_factor(*image.shape[:2], min_dim=settings.min_dim or 0, max_dim=settings.max_dim or 0)
    return image if factor == 1 else images.resize_by(image, factor)


def scale_factor(height: int, width: int, *, min_dim: int, max_dim: int) -> float:
    """Returns what SSD's convert_annoset scales an image by, aspect kept; 0 says that a bound is not set.

    Single precision and truncation are SSD's: they decide sizes that come close to a bound.
    """
    shorter, longer = np.float32(min(height, width)), np.float32(max(height, width))
    factor = np.float32(min_dim) / shorter if shorter < min_dim else np.float32(1)
    if max_dim > 0 and int(factor * longer) > max_dim:
        factor = np.float32(max_dim) / longer
    return float(factor)


def from_planes(planes: bytes, *, channels: int, height: int, width: int) -> Image:
    """Returns a picture from bare planes in the order R, G, B (or one gray plane)."""
    array: Image = np.frombuffer(planes, np.uint8).reshape(channels, height, width)
    picture: Image = array[0] if channels == 1 else array[::-1].transpose(1, 2, 0)
    return np.ascontiguousarray(picture)


def as_planes(image: Image) -> Image:
    """Returns a view (C, H, W) of a picture (H, W) or (H, W, C)."""
    return image[np.newaxis] if image.ndim == 2 else image.transpose(2, 0, 1)
