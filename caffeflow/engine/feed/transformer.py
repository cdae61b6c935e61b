"""From decoded records to a net's input: crop, mirror, subtract the mean, scale (semantics of Caffe's).

out[c, y, x] = (pixel - mean) * scale. Where one would guess wrong:
  * `mirror` works in the TEST phase too; only the crop depends on it (random in TRAIN, centred in TEST);
  * a mean file has the size of the uncropped record; it is cropped and mirrored together with the record;
  * channels are in OpenCV's order, B, G, R.
What SSD's fork adds is in `pictures`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from caffeflow.data.readers.datum import Planes
from caffeflow.engine.feed.draws import Draws, Indices
from caffeflow.engine.feed.settings import Floats, TransformSettings
from caffeflow.errors import DataError
from caffeflow.layers.params import dims
from caffeflow.layers.spec import Shape

Window: TypeAlias = tuple[int, int, int]  # top, left, whether mirrored

_MIRROR, _TOP, _LEFT = range(3)


class Transformer:
    """Transforms the records of one layer.

    Args:
        settings: The layer's.
        phase: "TRAIN" or "TEST".
        draws: The layer's random numbers.
        layer: Its name, for messages.
    """

    def __init__(self, settings: TransformSettings, *, phase: str, draws: Draws, layer: str) -> None:
        self.settings = settings
        self._is_random = phase == "TRAIN"
        self._draws = draws
        self._layer = layer

    def output_shape(self, record: Shape, name: str) -> Shape:
        """Returns (C, h, w) of what becomes of a record of (C, H, W).

        Args:
            record: Its shape.
            name: The record's, for messages.

        Raises:
            DataError: The record does not fit the crop or the mean.
        """
        misfit = self.settings.find_misfit(record, cropped=False)
        if misfit:
            self._refuse(name, record, misfit)
        channels, *size = record
        return (channels, *(self.settings.crop or size))

    def fill(
        self, planes: Sequence[Planes] | Planes, numbers: Indices, out: Floats, *, name: Callable[[int], str]
    ) -> None:
        """Writes transformed records into their part of a batch.

        Args:
            planes: The decoded records, each (C, H, W).
            numbers: Theirs in the stream; the random numbers depend on them.
            out: (N, C, h, w)
            name: Returns what messages call a record.

        Raises:
            DataError: A record does not fit the crop, the mean or the batch.
        """
        sizes = self._check(planes, out.shape[1:], name)
        windows = self._choose(sizes, numbers, out.shape[2:])
        common = windows[0] if len(set(windows)) == 1 else None
        if common and isinstance(planes, np.ndarray):
            out[...] = _cut(planes, common, out.shape[2:])
        else:
            cuts = [_cut(image, window, out.shape[2:]) for image, window in zip(planes, windows, strict=True)]
            np.stack(cuts, out=out)
        self._subtract_mean(out, windows, common)
        if self.settings.scale != 1:
            out *= np.float32(self.settings.scale)

    def _check(
        self, planes: Sequence[Planes] | Planes, expected: Shape, name: Callable[[int], str]
    ) -> NDArray[np.int64]:
        """Returns the (H, W) of each record, all of which become what is expected."""
        shapes = [planes.shape[1:]] if isinstance(planes, np.ndarray) else [image.shape for image in planes]
        for shape in set(shapes):
            index = shapes.index(shape)
            if self.output_shape(shape, name(index)) != expected:
                advice = "all records of a batch must become one size; set crop_size or prepare with --resize"
                self._refuse(name(index), shape, f"the batch is {dims(expected)}; {advice}")
        return np.array([shape[1:] for shape in shapes], np.int64).repeat(len(planes) // len(shapes), axis=0)

    def _choose(self, sizes: Indices, numbers: Indices, size: Shape) -> list[Window]:
        """Returns each record's window, by the phase's rule."""
        slack = sizes - size
        if self._is_random:
            tops = self._draws.below(slack[:, 0] + 1, numbers, draw=_TOP)
            lefts = self._draws.below(slack[:, 1] + 1, numbers, draw=_LEFT)
        else:
            tops, lefts = slack[:, 0] // 2, slack[:, 1] // 2
        sides = self._draws.below(2, numbers, draw=_MIRROR) if self.settings.mirror else np.zeros_like(tops)
        return list(zip(tops.tolist(), lefts.tolist(), sides.tolist(), strict=True))

    def _subtract_mean(self, out: Floats, windows: Sequence[Window], common: Window | None) -> None:
        mean = self.settings.mean
        if mean is None:
            return
        if mean.ndim == 1:
            out -= mean[:, None, None]
        elif common:
            out -= _cut(mean, common, out.shape[2:])
        else:
            for window, place in zip(windows, out, strict=True):
                place -= _cut(mean, window, out.shape[2:])

    def _refuse(self, name: str, record: Shape, why: str) -> NoReturn:
        raise DataError(f"layer '{self._layer}': '{name}' is {dims(record)}, but {why}")


def _cut(image: Planes, window: Window, size: Shape) -> Planes:
    """Returns a view of one window of (..., H, W), mirrored or not."""
    top, left, is_mirrored = window
    height, width = size
    cut = image[..., top : top + height, left : left + width]
    return cut[..., ::-1] if is_mirrored else cut
