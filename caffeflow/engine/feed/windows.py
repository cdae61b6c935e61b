"""Batches of a WindowData layer: windows drawn at random, cut from their images and made one size.

With `context_pad` or `crop_mode: "square"` a window is widened first; what then lies outside the image stays
0 in the batch, which is the mean. Sizes are computed in single precision, as Caffe does, so that they
round alike.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from caffeflow import images
from caffeflow.data.readers.window_file import Windows, read_window_file
from caffeflow.engine.feed.batches import Batch, BatchSettings, Buffers, shares
from caffeflow.engine.feed.draws import Draws, Indices
from caffeflow.engine.feed.settings import Floats, TransformSettings
from caffeflow.errors import DataError
from caffeflow.layers.params import Pair, dims
from caffeflow.layers.window_data import CHANNELS, WindowParams

_log = logging.getLogger(__name__)

_WINDOW, _MIRROR = range(2)  # which of a record's numbers decides what

Corners = tuple[int, int, int, int]
"""x1, y1, x2, y2; the last pixels are included."""


@dataclass(frozen=True)
class Placement:
    """Which part of an image is taken, and where in the crop it comes to lie.

    Attributes:
        part: What is cut out.
        size: (height, width) to which it is resized.
        top: Rows of the crop above it.
        left: Columns of the crop to its left.
    """

    part: Corners
    size: Pair
    top: int
    left: int


def place(window: Corners, image: Pair, params: WindowParams, *, is_mirrored: bool) -> Placement:
    """Returns where a window comes from and goes to.

    Args:
        window: As the file has it.
        image: (height, width)
        params: The layer's.
        is_mirrored: The padding changes sides with the picture.
    """
    if not (params.context_pad or params.is_square):
        return Placement(window, (params.crop, params.crop), 0, 0)
    x1, y1, x2, y2 = _widened(window, params)
    across = _along(x1, x2, image[1], params.crop, is_flipped=is_mirrored)
    down = _along(y1, y2, image[0], params.crop, is_flipped=False)
    part = (across.first, down.first, across.last, down.last)
    return Placement(part, (down.size, across.size), down.before, across.before)


def _widened(window: Corners, params: WindowParams) -> Corners:
    """Returns the window with its context, or as a square, or both."""
    x1, y1, x2, y2 = window
    context = np.float32(params.crop) / np.float32(params.crop - 2 * params.context_pad)
    half_width, half_height = np.float32(x2 - x1 + 1) / 2, np.float32(y2 - y1 + 1) / 2
    center_x, center_y = np.float32(x1) + half_width, np.float32(y1) + half_height
    if params.is_square:
        half_width = half_height = max(half_width, half_height)
    return (
        _round(center_x - half_width * context),
        _round(center_y - half_height * context),
        _round(center_x + half_width * context),
        _round(center_y + half_height * context),
    )


@dataclass(frozen=True)
class _Stretch:
    """One axis of a placement."""

    first: int
    last: int
    size: int
    before: int


def _along(first: int, last: int, image: int, crop: int, *, is_flipped: bool) -> _Stretch:
    """Returns what of an axis lies in the image, and its share of the crop."""
    whole = last - first + 1
    before, after = max(0, -first), max(0, last - image + 1)
    scale = np.float32(crop) / np.float32(whole)
    size = _round(np.float32(whole - before - after) * scale)
    padding = _round(np.float32(after if is_flipped else before) * scale)
    # Caffe: rounding may make both together larger than the crop (window_data_layer.cpp).
    return _Stretch(first + before, last - after, min(size, crop - padding), padding)


def _round(value: np.float32) -> int:
    """Returns the nearest whole number, halves away from 0 as C rounds them."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), float(value)))


class WindowBatches:
    """Plans the batches of a layer.

    Args:
        params: The layer's.
        transform: Its mean.
        settings: How the stream is cut.
        draws: The layer's random numbers.
        layer: Its name, for messages.

    Raises:
        DataError: The window file cannot be read, or the mean does not fit.
    """

    def __init__(
        self,
        params: WindowParams,
        transform: TransformSettings,
        settings: BatchSettings,
        draws: Draws,
        *,
        layer: str,
    ) -> None:
        self._params = params
        self._layer = layer
        self._settings = settings
        self._draws = draws
        self._mean = self._central(transform)
        if transform.scale != 1:
            _log.warning(
                "layer '%s': scale in transform_param has no effect on WindowData, as in Caffe; set that of"
                " window_data_param",
                layer,
            )
        self._file = read_window_file(
            Path(params.source),
            least_overlap=params.least_overlap,
            background_overlap=params.background_overlap,
        )
        self._buffers = Buffers(pin=settings.pin)
        self._kept: dict[int, bytes] = {}

    def batches(self, start: int) -> Iterator[Batch]:
        """Yields batches without end, from window `start` of the stream on."""
        size, world = self._params.batch_size, self._settings.world
        own = self._settings.rank + world * np.arange(size)
        while True:
            yield self._plan(start + own, start + world * size)
            start += world * size

    def close(self) -> None:
        """Lets the images in memory go."""
        self._kept.clear()

    def _plan(self, numbers: Indices, end: int) -> Batch:
        size, crop = self._params.batch_size, self._params.crop
        windows = self._choose(numbers)
        sides = self._draws.below(2 if self._params.mirror else 1, numbers, draw=_MIRROR)
        data = self._buffers.take((size, CHANNELS, crop, crop))
        labels = torch.from_numpy(windows[:, 1].astype(np.float32))
        parts = tuple(
            partial(self._fill, windows[low:high], sides[low:high], data[low:high].numpy())
            for low, high in shares(size, self._settings.parts)
        )
        return Batch(parts=parts, tops=lambda: (data, labels), end=end)

    def _choose(self, numbers: Indices) -> Windows:
        """Returns a batch's windows: background first, then objects."""
        first = len(numbers) - self._params.objects
        chosen = [
            kind[self._draws.below(len(kind), some, draw=_WINDOW)]
            for kind, some in (
                (self._file.background, numbers[:first]),
                (self._file.objects, numbers[first:]),
            )
        ]
        return np.concatenate(chosen)

    def _fill(self, windows: Windows, sides: Indices, out: Floats) -> None:
        out[...] = 0
        for (number, _, *corners), side, crop in zip(windows.tolist(), sides.tolist(), out, strict=True):
            x1, y1, x2, y2 = corners
            self._write(number, (x1, y1, x2, y2), crop, is_mirrored=side == 1)

    def _write(self, number: int, window: Corners, out: Floats, *, is_mirrored: bool) -> None:
        name = self._params.root_folder + self._file.images[number]
        image = images.decode(self._read(number, name), "color", name=name)
        height, width = image.shape[:2]
        placed = place(window, (height, width), self._params, is_mirrored=is_mirrored)
        x1, y1, x2, y2 = placed.part
        rows, columns = placed.size
        if not (0 <= x1 <= x2 < width and 0 <= y1 <= y2 < height and rows > 0 and columns > 0):
            raise DataError(
                f"layer '{self._layer}': window {window} of '{name}' does not lie in the image, which is"
                f" {height} x {width}; correct the window file"
            )
        cut = images.resize_squash(image[y1 : y2 + 1, x1 : x2 + 1], rows, columns)
        cut = images.mirrored(cut) if is_mirrored else cut
        inside = (slice(placed.top, placed.top + rows), slice(placed.left, placed.left + columns))
        for channel, plane in enumerate(images.planes_of(cut)):
            values = plane.astype(np.float32)
            if self._mean is not None:
                values -= self._mean[channel][inside]
            out[channel][inside] = values * np.float32(self._params.scale)

    def _read(self, number: int, name: str) -> bytes:
        if number in self._kept:
            return self._kept[number]
        try:
            content = Path(name).read_bytes()
        except OSError as error:
            advice = f"check root_folder in window_data_param, which is '{self._params.root_folder}'"
            raise DataError(
                f"{self._params.source}: image '{name}' cannot be read: {error.strerror}; {advice}"
            ) from error
        if self._params.is_cached:
            self._kept[number] = content
        return content

    def _central(self, transform: TransformSettings) -> Floats | None:
        """Returns the mean as large as a crop; of a mean image its centre."""
        mean, crop = transform.mean, self._params.crop
        if mean is None:
            return None
        if mean.ndim == 1:
            if len(mean) not in (1, CHANNELS):
                raise DataError(
                    f"layer '{self._layer}': there are {len(mean)} mean_value; give one, or one a channel"
                )
            return np.broadcast_to(mean[:, None, None], (CHANNELS, crop, crop))
        # Caffe: the offset across is that down as well, so the image is as good as square.
        offset = (mean.shape[2] - crop) // 2
        if offset < 0 or mean.shape[0] != CHANNELS or mean.shape[1] < offset + crop:
            raise DataError(
                f"layer '{self._layer}': mean_file '{transform.mean_file}' is {dims(mean.shape)}, which has"
                f" no centre of {CHANNELS} x {crop} x {crop}"
            )
        return mean[:, offset : offset + crop, offset : offset + crop]
