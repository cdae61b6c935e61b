"""Pictures as pycaffe has them: float32 (H, W, K) between 0 and 1, RGB, not BGR.

The rule to know: a file is read as it is stored. The EXIF orientation, which `caffeflow` and Caffe's
own tools obey, is ignored, as pycaffe's scikit-image ignores it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from caffeflow import images
from caffeflow.errors import DataError
from caffeflow.pycaffe.resampling import resize_centred, resize_cornered

Image = NDArray[np.float32]
Dims = Sequence[int] | NDArray[Any]  # height, width

_LUMA: Final = np.array([0.2125, 0.7154, 0.0721])  # scikit-image's, for RGB; JPEG's differ


def load_image(filename: str | os.PathLike[str], color: bool = True) -> Image:
    """Returns a picture file as RGB (H, W, 3), or as intensity (H, W, 1); alpha is dropped.

    Raises:
        DataError: There is no such file, or it is not a whole picture of 8 bits a channel.
    """
    try:
        data = Path(filename).read_bytes()
    except OSError as error:
        raise DataError(f"image '{filename}': cannot be read: {error.strerror}") from error
    pixels = images.decode(data, "unchanged", name=str(filename), as_stored=True)
    values = np.multiply(pixels, 1.0 / 255, dtype=np.float64)
    if values.ndim == 2:
        values = values[:, :, np.newaxis]
        return (np.tile(values, (1, 1, 3)) if color else values).astype(np.float32)
    rgb = values[:, :, 2::-1]
    return (rgb if color else (rgb @ _LUMA)[:, :, np.newaxis]).astype(np.float32)


def resize_image(im: NDArray[Any], new_dims: Dims, interp_order: int = 1) -> Image:
    """Returns a picture (H, W, K) at (height, width) `new_dims`.

    One and three channels are resized by scikit-image's rule, any others by scipy's (resampling.py).

    Args:
        im: The picture; any range of values.
        new_dims: Height and width.
        interp_order: 0 nearest, 1 linear, 3 cubic (one and three channels only).
    """
    height, width = (int(size) for size in new_dims)
    if im.shape[-1] not in (1, 3):
        return resize_cornered(im, height, width, order=interp_order).astype(np.float32)
    # Caffe: the picture is brought to 0..1 first, so that outside of it lies its least value (io.py).
    least = float(im.min())
    return resize_centred(im, height, width, order=interp_order, outside=least).astype(np.float32)


def oversample(images: Sequence[NDArray[Any]] | NDArray[Any], crop_dims: Dims) -> Image:
    """Returns ten crops of each picture: four corners, the middle, and the same mirrored, (10 N, h, w, K).

    Args:
        images: Pictures (H, W, K) of one size.
        crop_dims: Height and width of a crop.

    Raises:
        ValueError: The crops do not fit into the pictures.
    """
    height, width, channels = images[0].shape
    high, wide = (int(size) for size in crop_dims)
    if high > height or wide > width:
        raise ValueError(f"crops of {high}x{wide} do not fit into pictures of {height}x{width}")
    below, right = height - high, width - wide
    corners = [(0, 0), (0, right), (below, 0), (below, right), (below // 2, right // 2)]
    crops = np.empty((len(images), 10, high, wide, channels), np.float32)
    for image, its_crops in zip(images, crops, strict=True):
        for crop, (top, left) in zip(its_crops[:5], corners, strict=True):
            crop[...] = image[top : top + high, left : left + wide]
    crops[:, 5:] = crops[:, :5, :, ::-1]
    return crops.reshape(-1, high, wide, channels)
