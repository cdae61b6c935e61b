"""`distort_param`: colours changed at random, as SSD's `ApplyDistort` does (im_transforms.cpp).

Each change looks at one pixel alone, so that it may be done to the part of a picture that is used.
Saturation and hue take the way to HSV and back each by itself, which loses a little each time, as in SSD. A
negative hue stops at 0 instead of going round.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Final

import numpy as np

from caffeflow import images
from caffeflow.engine.feed.draws import Draw, RecordDraws
from caffeflow.errors import DataError, NetError
from caffeflow.proto.caffe_pb2 import DistortionParameter, LayerParameter

_HUE: Final = 0  # their places in HSV
_SATURATION: Final = 1
_CHANNEL_ORDERS: Final = tuple(permutations(range(3)))
_SMALLEST_CONTRAST: Final = 1e-3


@dataclass(frozen=True)
class Distortion:
    """How much colours may change, as in the net's file."""

    param: DistortionParameter

    @classmethod
    def find(cls, layer: LayerParameter) -> Distortion | None:
        """Reads `distort_param`; None if it is not there.

        Raises:
            NetError: A range that is none.
        """
        if not layer.transform_param.HasField("distort_param"):
            return None
        param = layer.transform_param.distort_param
        for name in ("brightness", "hue"):
            delta = getattr(param, f"{name}_delta")
            if getattr(param, f"{name}_prob") > 0 and delta < 0:
                raise NetError(f"{name}_delta is {delta:g}; it must be at least 0", layer=layer.name)
        for name in ("contrast", "saturation"):
            low, high = getattr(param, f"{name}_lower"), getattr(param, f"{name}_upper")
            if getattr(param, f"{name}_prob") > 0 and not 0 <= low <= high:
                found = f"{name}_lower is {low:g} and {name}_upper {high:g}"
                raise NetError(f"{found}; they must be at least 0 and in this order", layer=layer.name)
        return cls(param)

    def check(self, channels: int) -> None:
        """Raises DataError if pictures have no colours and the net may change them."""
        param = self.param
        needs_colour = max(param.saturation_prob, param.hue_prob, param.random_order_prob) > 0
        if needs_colour and channels != 3:
            found = f"it has {channels} channel{'s' * (channels > 1)}"
            raise DataError(f"{found}, and distort_param needs 3; set force_color: true")

    def picture(self, image: images.Image, draws: RecordDraws) -> images.Image:
        """Returns the picture, or the part of it, distorted by the numbers of its record."""
        image = self._brightness(image, draws)
        if draws.acts(Draw.ORDER, 0.5):
            image = self._contrast(self._hue(self._saturation(image, draws), draws), draws)
        else:
            image = self._hue(self._saturation(self._contrast(image, draws), draws), draws)
        if draws.acts(Draw.CHANNELS_ACT, self.param.random_order_prob):
            order = _CHANNEL_ORDERS[draws.below(Draw.CHANNELS, len(_CHANNEL_ORDERS))]
            image = np.ascontiguousarray(image[..., order])
        return image

    def _brightness(self, image: images.Image, draws: RecordDraws) -> images.Image:
        if not draws.acts(Draw.BRIGHTNESS_ACTS, self.param.brightness_prob):
            return image
        limit = self.param.brightness_delta
        return images.shift(image, draws.uniform(Draw.BRIGHTNESS, -limit, limit))

    def _contrast(self, image: images.Image, draws: RecordDraws) -> images.Image:
        if not draws.acts(Draw.CONTRAST_ACTS, self.param.contrast_prob):
            return image
        factor = draws.uniform(Draw.CONTRAST, self.param.contrast_lower, self.param.contrast_upper)
        return images.multiply(image, factor) if abs(factor - 1) > _SMALLEST_CONTRAST else image

    def _saturation(self, image: images.Image, draws: RecordDraws) -> images.Image:
        if not draws.acts(Draw.SATURATION_ACTS, self.param.saturation_prob):
            return image
        # Caffe: a factor near 1 takes the way to HSV and back, too; its guard never holds.
        factor = draws.uniform(Draw.SATURATION, self.param.saturation_lower, self.param.saturation_upper)
        return images.change_hsv(image, _SATURATION, lambda plane: images.multiply(plane, factor))

    def _hue(self, image: images.Image, draws: RecordDraws) -> images.Image:
        if not draws.acts(Draw.HUE_ACTS, self.param.hue_prob):
            return image
        limit = self.param.hue_delta
        delta = draws.uniform(Draw.HUE, -limit, limit)
        if delta == 0:
            return image
        return images.change_hsv(image, _HUE, lambda plane: images.shift(plane, delta))
