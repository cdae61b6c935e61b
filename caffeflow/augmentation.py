"""Training pictures changed at random: a window of them, shown at the size that is wanted, and their colours.

Caffe's own transformer crops and mirrors. What is here is for what its prototxt has no words for; the feed
of the embedded engine does it to each record anew, `prepare` does it to copies that it writes. The rule to
know: everything follows from the `UNITS` random numbers of a record, so who draws those decides alone.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from caffeflow import images
from caffeflow.errors import UsageError
from caffeflow.images import Image, Pixels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind: TypeAlias = Literal["crop", "inception"]
Size: TypeAlias = tuple[int, int]  # height, width

INCEPTION_SCALE: Final = (0.08, 1.0)  # GoogLeNet's; also how torchvision trained what it publishes

_TRIES: Final = 10
_DRAWS_PER_TRY: Final = 4
_ORDER, _BRIGHTNESS, _CONTRAST, _SATURATION, _TRIES_FROM = range(5)
_SHARE, _ASPECT, _TOP, _LEFT = range(_DRAWS_PER_TRY)
UNITS: Final = _TRIES_FROM + _TRIES * _DRAWS_PER_TRY

_MOST_ASPECT: Final = 4 / 3
_PADDING: Final = 8  # pictures no larger than the crop get an eighth of it around them: 4 pixels at 32
_AVERAGED_FROM: Final = 2  # bilinear pixels skip what lies between them when sides shrink more than this
_MOST_AVERAGED: Final = 4  # channels, of OpenCV
_LUMA: Final = (0.114, 0.587, 0.299)  # of B, G, R
_ORDERS: Final = tuple(permutations((_BRIGHTNESS, _CONTRAST, _SATURATION)))


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What is asked for; each part may be missing.

    Attributes:
        augment: `crop`: windows in the crop's shape. `inception`: windows of other shapes as well, resized.
            `none`: nothing but what stands here, whatever a recipe or an earlier run had; see `settled`.
        rand_scale: The least and the largest share of a picture that a window shows, by area.
        color_jitter: By how much brightness, contrast and saturation change at most, as a factor's
            distance from 1.
    """

    augment: Kind | Literal["none"] | None = None
    rand_scale: tuple[float, float] | None = None
    color_jitter: float | None = None

    def __post_init__(self) -> None:
        if self.rand_scale is not None and not 0 < self.rand_scale[0] <= self.rand_scale[1] <= 1:
            low, high = self.rand_scale
            raise UsageError(
                f"--rand-scale is {low:g} {high:g}; expected two shares of a picture's area, the smaller"
                " one first, above 0 and up to 1"
            )
        if self.color_jitter is not None and not 0 < self.color_jitter <= 1:
            raise UsageError(f"--color-jitter is {self.color_jitter:g}; expected above 0 and up to 1")

    @classmethod
    def find(
        cls,
        *,
        augment: Kind | Literal["none"] | None,
        rand_scale: Sequence[float] | None,
        color_jitter: float | None,
    ) -> Augmentation | None:
        """Returns what the options ask for; None if that is nothing.

        Raises:
            UsageError: A number is out of its range.
        """
        if augment is None and rand_scale is None and color_jitter is None:
            return None
        shares = None if rand_scale is None else (float(rand_scale[0]), float(rand_scale[1]))
        return cls(augment=augment, rand_scale=shares, color_jitter=color_jitter)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Augmentation:
        """Returns what `as_record` wrote, after a way through JSON."""
        shares = record["rand_scale"]
        return cls(**{**record, "rand_scale": None if shares is None else (shares[0], shares[1])})

    def settled(self) -> Augmentation | None:
        """Returns what is done to pictures, once `none` has kept other words away; None: nothing."""
        return self if self.augment != "none" else Augmentation.find(**self.as_record() | {"augment": None})

    def as_record(self) -> dict[str, Any]:
        """Returns plain values by the options' names."""
        return asdict(self)

    @property
    def options(self) -> str:
        """What a user types for it."""
        words = []
        if self.augment is not None:
            words.append(f"--augment {self.augment}")
        if self.rand_scale is not None:
            words.append("--rand-scale {:g} {:g}".format(*self.rand_scale))
        if self.color_jitter is not None:
            words.append(f"--color-jitter {self.color_jitter:g}")
        return " ".join(words)

    @property
    def is_resizing(self) -> bool:
        """Whether windows have other sizes than the crop, so that pictures of any size will do."""
        return self.augment == "inception" or self.rand_scale is not None


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle in a picture's pixels; it may reach beyond the picture."""

    top: int
    left: int
    height: int
    width: int


def find_window(asked: Augmentation, size: Size, wanted: Size, units: NDArray[np.float64]) -> Window:
    """Returns which part of a picture is shown.

    Args:
        asked: What is asked for.
        size: Of the picture; at least `wanted` unless windows are resized.
        wanted: The size at which the part will be shown.
        units: The record's random numbers.
    """
    if asked.augment == "inception":
        return _inception_window(asked.rand_scale or INCEPTION_SCALE, size, wanted, units)
    first = units[_TRIES_FROM:].tolist()
    if asked.rand_scale is None:
        margins = _margins(size, wanted) if asked.augment == "crop" else (0, 0)
        padded = (size[0] + 2 * margins[0], size[1] + 2 * margins[1])
        placed = _placed(padded, wanted, first)
        return Window(placed.top - margins[0], placed.left - margins[1], *wanted)
    # A largest window of the crop's shape just fits; of this one a share is taken.
    fitting = min(size[0] / wanted[0], size[1] / wanted[1])
    side = fitting * math.sqrt(_between(asked.rand_scale, first[_SHARE]))
    height, width = (max(1, round(side * length)) for length in wanted)
    return _placed(size, (min(height, size[0]), min(width, size[1])), first)


def _margins(size: Size, wanted: Size) -> Size:
    """Returns what is added above and below, left and right, so that there is room to move."""
    above, beside = (
        side // _PADDING if length <= side else 0 for length, side in zip(size, wanted, strict=True)
    )
    return above, beside


def _inception_window(
    scale: tuple[float, float], size: Size, wanted: Size, units: NDArray[np.float64]
) -> Window:
    """Returns a window of a random share and shape; after ten that do not fit, the largest in the middle.

    Shapes are as seen against that of the crop, so that they tell how a picture is distorted.
    """
    height, width = size
    shape = wanted[1] / wanted[0]
    for draws in units[_TRIES_FROM:].reshape(_TRIES, _DRAWS_PER_TRY).tolist():
        area = _between(scale, draws[_SHARE]) * height * width
        aspect = shape * _MOST_ASPECT ** (2 * draws[_ASPECT] - 1)
        rows, columns = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < rows <= height and 0 < columns <= width:
            return _placed(size, (rows, columns), draws)
    aspect = min(max(width / height, shape / _MOST_ASPECT), shape * _MOST_ASPECT)
    rows, columns = min(height, max(1, round(width / aspect))), min(width, max(1, round(height * aspect)))
    return Window((height - rows) // 2, (width - columns) // 2, rows, columns)


def _placed(size: Size, window: Size, draws: Sequence[float]) -> Window:
    top = int(draws[_TOP] * (size[0] - window[0] + 1))
    left = int(draws[_LEFT] * (size[1] - window[1] + 1))
    return Window(top, left, *window)


def _between(bounds: tuple[float, float], unit: float) -> float:
    return bounds[0] + unit * (bounds[1] - bounds[0])


def show(picture: Pixels, window: Window, wanted: Size) -> Pixels:
    """Returns what a window shows of (H, W[, C]) at the wanted size; beyond the picture it is black.

    Bilinear; where both sides shrink more than twofold, and there are up to four channels, the mean over the
    area that a pixel stands for.
    """
    height, width = picture.shape[:2]
    top, left = max(window.top, 0), max(window.left, 0)
    bottom, right = min(window.top + window.height, height), min(window.left + window.width, width)
    part = picture[top:bottom, left:right]
    if part.shape[:2] != (window.height, window.width):
        above, beside = top - window.top, left - window.left
        below, beyond = window.height - above - part.shape[0], window.width - beside - part.shape[1]
        part = images.surround(part, (above, below, beside, beyond))
    if part.shape[:2] == wanted:
        return cast("Pixels", part)
    shrinking = min(window.height / wanted[0], window.width / wanted[1])
    is_averaged = shrinking > _AVERAGED_FROM and part[0, 0].size <= _MOST_AVERAGED
    interpolation: images.Interpolation = "AREA" if is_averaged else "LINEAR"
    return cast("Pixels", images.resize(cast("Image", part), *wanted, interpolation))


def jitter(picture: Image, strength: float, units: NDArray[np.float64]) -> Image:
    """Returns a picture (H, W, 3) or (H, W) with other brightness, contrast and saturation, in any order.

    Each is a step towards, or away from, something even: black, the picture's mean gray, a pixel's own gray.
    So whatever the order, a pixel becomes so much of itself, so much of its gray, and a constant, which is
    computed, rounded and held within 0 and 255 once.

    Args:
        picture: BGR, or gray, which has no saturation.
        strength: Each factor lies within this of 1.
        units: The record's random numbers.
    """
    luma = _LUMA if picture.ndim == 3 else (1.0,)
    means = images.channel_means(picture)
    mean_gray = sum(weight * mean for weight, mean in zip(luma, means, strict=True))
    drawn = units[:_TRIES_FROM].tolist()
    itself, gray, constant = 1.0, 0.0, 0.0
    for what in _ORDERS[int(drawn[_ORDER] * len(_ORDERS))]:
        factor = 1 + strength * (2 * drawn[what] - 1)
        if what == _SATURATION:
            gray += (1 - factor) * itself
            itself *= factor
            continue
        even = (itself + gray) * mean_gray + constant if what == _CONTRAST else 0.0
        itself, gray, constant = factor * itself, factor * gray, factor * constant + (1 - factor) * even
    shares = [gray * weight for weight in luma]
    rows = [[*shares, constant] for _ in luma]
    for channel, row in enumerate(rows):
        row[channel] += itself
    return images.mix_channels(picture, np.array(rows))


def augmented(picture: Image, asked: Augmentation, units: NDArray[np.float64]) -> Image:
    """Returns a picture changed at random, of the size that it had."""
    size = (picture.shape[0], picture.shape[1])
    shown = show(picture, find_window(asked, size, size, units), size)
    return shown if asked.color_jitter is None else jitter(shown, asked.color_jitter, units)
