"""`noise_param`: what SSD does to a resized picture, always and in a fixed order (im_transforms.cpp).

Nothing is left to chance but the places of salt and pepper: `prob` is never read.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

import numpy as np

from caffeflow import images
from caffeflow.engine.feed.draws import RecordDraws
from caffeflow.errors import DataError, NetError
from caffeflow.proto.caffe_pb2 import LayerParameter, NoiseParameter

_CLIP_LIMIT: Final = 4.0
_LEVELS: Final = np.arange(256, dtype=np.uint8)
_POSTERIZED: Final = _LEVELS // 64 * 64 + 32
_INVERTED: Final = 255 - _LEVELS

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Noise:
    """The changes that a net asks for, as in its file."""

    param: NoiseParameter

    @classmethod
    def find(cls, layer: LayerParameter) -> Noise | None:
        """Reads `noise_param`; None if it is not there.

        Raises:
            NetError: A change that cannot work, in Caffe neither.
        """
        if not layer.transform_param.HasField("noise_param"):
            return None
        param = layer.transform_param.noise_param
        if param.HasField("prob"):
            _log.warning("layer '%s': prob in noise_param has no effect, as in Caffe", layer.name)
        if param.convert_to_lab:
            # Caffe: makes floats of the pixels, and reads them as bytes then (data_transformer.cpp).
            raise NetError(
                "convert_to_lab in noise_param gives no pictures of bytes, and Caffe reads garbage from it;"
                " remove it"
            )
        _check_salt(param)
        return cls(param)

    def picture(self, image: images.Image, draws: RecordDraws) -> images.Image:
        """Returns the picture changed.

        Raises:
            DataError: A change needs colours, and the picture is gray.
        """
        param = self.param
        if image.ndim == 3 and image.shape[2] != 3:
            raise DataError(f"it has {image.shape[2]} channels, and noise_param needs 1 or 3")
        needs_colour = ("decolorize", "convert_to_hsv") + (("jpeg",) if param.jpeg > 0 else ())
        for field in needs_colour:
            if image.ndim == 2 and getattr(param, field):
                raise DataError(f"it is gray, and {field} in noise_param needs colours; set force_color")
        image = _filtered(image, param)
        if param.posterize:
            image = images.look_up(image, _POSTERIZED)
        if param.inverse:
            image = images.look_up(image, _INVERTED)
        if param.saltpepper:
            image = _salted(image, param, draws)
        return images.to_hsv(image) if param.convert_to_hsv else image


def _filtered(image: images.Image, param: NoiseParameter) -> images.Image:
    """Applies what looks at more than one pixel, and what is before it."""
    if param.decolorize:
        image = images.without_colour(image)
    if param.gauss_blur:
        image = images.blur(image)
    if param.hist_eq:
        image = images.equalize(image)
    if param.clahe:
        image = images.equalize(image, clip_limit=_CLIP_LIMIT)
    if param.jpeg > 0:
        image = images.decode(images.encode(image, "jpg", quality=int(param.jpeg)), "color")
    return images.erode(image) if param.erode else image


def _check_salt(param: NoiseParameter) -> None:
    values = list(param.saltpepper_param.value)
    if param.saltpepper and not values:
        raise NetError(
            "saltpepper in noise_param has no colour; give saltpepper_param { value: … }, one or one for each"
            " channel"
        )
    if any(not 0 <= value < 256 for value in values):
        raise NetError(f"value {values} in saltpepper_param; a pixel is from 0 to 255")


def _salted(image: images.Image, param: NoiseParameter, draws: RecordDraws) -> images.Image:
    height, width = image.shape[:2]
    values = np.array(param.saltpepper_param.value).astype(np.uint8)
    channels = image.shape[2] if image.ndim == 3 else 1
    if len(values) not in (1, channels):
        found = f"{len(values)} value in saltpepper_param for {channels} channels"
        raise DataError(f"there are {found}; give one, or one for each channel")
    count = int(np.float32(param.saltpepper_param.fraction) * np.float32(width) * np.float32(height))
    places = draws.units(2, count) * np.array([[height], [width]], np.float32)
    # The product of a number just below 1 may round up to the whole side.
    rows, columns = np.minimum(places.astype(np.int64), [[height - 1], [width - 1]])
    image = image.copy()
    image[rows, columns] = values if image.ndim == 3 else values[0]
    return image
