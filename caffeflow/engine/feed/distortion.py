"""`distort_param`: colours changed at random, as SSD's `ApplyDistort` does (im_transforms.cpp).

Each change looks at one pixel alone, so that it may be done to the part of a picture that is used. What
comes of brightness and contrast is a table of 256 bytes; saturation and hue take the way to HSV and back
each by itself, which loses a little each time, as in SSD. A negative hue stops at 0 instead of going round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Final, Literal, TypeAlias

import numpy as np

from caffeflow import images
from caffeflow.engine.feed.draws import Draw, RecordDraws
from caffeflow.errors import DataError, NetError
from caffeflow.proto.caffe_pb2 import DistortionParameter, LayerParameter

Table: TypeAlias = images.Image
Step: TypeAlias = tuple[Literal["all", "saturation", "hue"], Table]

_LEVELS: Final = np.arange(256, dtype=np.float32)
_HSV_CHANNELS: Final[dict[str, Literal[0, 1]]] = {"hue": 0, "saturation": 1}
_CHANNEL_ORDERS: Final = tuple(permutations(range(3)))
_SMALLEST_CONTRAST: Final = np.float32(1e-3)


def _saturated(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Table:
    """Returns values as bytes: rounded, halves to even, and held within 0 and 255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


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
        pending: Table | None = None
        for what, table in self._steps(draws):
            if what == "all":
                pending = table if pending is None else table[pending]
                continue
            if pending is not None:
                image, pending = images.look_up(image, pending), None
            image = images.change_hsv(image, _HSV_CHANNELS[what], table)
        if pending is not None:
            image = images.look_up(image, pending)
        if draws.acts(Draw.CHANNELS_ACT, self.param.random_order_prob):
            order = _CHANNEL_ORDERS[draws.below(Draw.CHANNELS, len(_CHANNEL_ORDERS))]
            image = np.ascontiguousarray(image[..., order])
        return image

    def _steps(self, draws: RecordDraws) -> Iterator[Step]:
        """Yields the tables that act, in one of SSD's two orders."""
        is_contrast_early = not draws.acts(Draw.ORDER, 0.5)
        early = (self._contrast,) if is_contrast_early else ()
        late = () if is_contrast_early else (self._contrast,)
        steps: tuple[Callable[[RecordDraws], Step | None], ...] = (
            self._brightness, *early, self._saturation, self._hue, *late,
        )  # fmt: skip
        for step in steps:
            drawn = step(draws)
            if drawn is not None:
                yield drawn

    def _brightness(self, draws: RecordDraws) -> Step | None:
        if not draws.acts(Draw.BRIGHTNESS_ACTS, self.param.brightness_prob):
            return None
        limit = self.param.brightness_delta
        return "all", _saturated(_LEVELS + draws.uniform(Draw.BRIGHTNESS, -limit, limit))

    def _contrast(self, draws: RecordDraws) -> Step | None:
        if not draws.acts(Draw.CONTRAST_ACTS, self.param.contrast_prob):
            return None
        factor = draws.uniform(Draw.CONTRAST, self.param.contrast_lower, self.param.contrast_upper)
        if abs(factor - np.float32(1)) <= _SMALLEST_CONTRAST:
            return None
        return "all", _saturated(_LEVELS * factor)

    def _saturation(self, draws: RecordDraws) -> Step | None:
        if not draws.acts(Draw.SATURATION_ACTS, self.param.saturation_prob):
            return None
        # Caffe: a factor near 1 takes the way to HSV and back, too; its guard never holds.
        factor = draws.uniform(Draw.SATURATION, self.param.saturation_lower, self.param.saturation_upper)
        return "saturation", _saturated(_LEVELS * factor)

    def _hue(self, draws: RecordDraws) -> Step | None:
        if not draws.acts(Draw.HUE_ACTS, self.param.hue_prob):
            return None
        limit = self.param.hue_delta
        delta = draws.uniform(Draw.HUE, -limit, limit)
        return ("hue", _saturated(_LEVELS + delta)) if abs(delta) > 0 else None
