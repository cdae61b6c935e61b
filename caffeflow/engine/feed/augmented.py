"""What the command line asks to do to training pictures, done before Caffe's own transformation.

A window is shown at the net's input size and its colours are changed; what is left for the transformer is
the prototxt's mirror, mean and scale. A mean file goes with the window: it is cut and resized alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from caffeflow import augmentation, images
from caffeflow.augmentation import Augmentation, Size
from caffeflow.data.readers.datum import Planes, as_planes
from caffeflow.engine.feed.draws import Draws, Indices
from caffeflow.engine.feed.settings import Floats, TransformSettings
from caffeflow.engine.feed.transformer import Transformer
from caffeflow.errors import DataError, NetError, UsageError
from caffeflow.layers.params import dims
from caffeflow.layers.spec import Shape
from caffeflow.proto.caffe_pb2 import LayerParameter

_OF_PICTURES: Final = ("Data", "ImageData")
_JITTER_NEEDS: Final = "--color-jitter needs pictures of 1 or 3 channels of bytes"


def check_augmented(layers: Sequence[LayerParameter], asked: Augmentation) -> None:
    """Looks whether one layer of a train net, and one alone, brings the pictures that are meant.

    Raises:
        UsageError: There is none, or there are several.
        NetError: The layer's own transformation leaves no place for it.
    """
    found = [layer for layer in layers if layer.type in _OF_PICTURES]
    annotated = next((layer for layer in layers if layer.type == "AnnotatedData"), None)
    if annotated is not None:
        raise NetError(
            f"{asked.options} does not move boxes along; AnnotatedData has words of its own for this in the"
            " net: distort_param, expand_param, batch_sampler",
            layer=annotated.name,
        )
    if len(found) != 1:
        names = " and ".join(f"'{layer.name}'" for layer in found) or "none"
        raise UsageError(
            f"{asked.options} is for nets with one Data or ImageData layer to train from; found {names}"
        )


class AugmentingTransformer:
    """Transforms the records of one layer, changed at random before.

    Args:
        asked: How.
        settings: The layer's.
        draws: The layer's random numbers.
        layer: Its name, for messages.

    Raises:
        NetError: The layer has what only SSD's fork knows.
    """

    def __init__(self, asked: Augmentation, settings: TransformSettings, *, draws: Draws, layer: str) -> None:
        if settings.is_forks:
            what = "resize_param, noise_param, crop_h and crop_w in transform_param"
            raise NetError(f"{asked.options} and {what} exclude each other; keep one", layer=layer)
        self._asked = asked
        self._settings = settings
        self._draws = draws
        self._layer = layer
        mean = settings.mean
        has_image = mean is not None and mean.ndim == 3
        self._mean = images.from_planes(mean) if mean is not None and has_image else None
        rest = replace(settings, crop=None, mean=None if has_image else mean, mean_file=None)
        self._rest = Transformer(rest, phase="TRAIN", draws=draws, layer=layer)

    def output_shape(self, record: Shape, name: str) -> Shape:
        """Returns (C, h, w) of what becomes of a record of (C, H, W).

        Args:
            record: Its shape.
            name: The record's, for messages.

        Raises:
            DataError: The record does not fit the crop, the mean or what is asked for.
        """
        settings = replace(self._settings, crop=None) if self._asked.is_resizing else self._settings
        misfit = settings.find_misfit(record, cropped=False)
        if misfit:
            raise self._refusal(name, record, misfit)
        channels, *size = record
        if self._asked.color_jitter is not None and channels not in (1, 3):
            raise self._refusal(name, record, _JITTER_NEEDS)
        return (channels, *(self._settings.crop or size))

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
            DataError: A record does not fit the crop, the mean, the batch or what is asked for.
        """
        self._check(planes, out.shape[1:], name)
        wanted = (out.shape[2], out.shape[3])
        units = self._draws.units(numbers, augmentation.UNITS)
        shown = [self._shown(record, wanted, row) for record, row in zip(planes, units, strict=True)]
        self._rest.fill(shown, numbers, out, name=name)

    def _check(self, planes: Sequence[Planes] | Planes, expected: Shape, name: Callable[[int], str]) -> None:
        kinds = [(record.shape, record.dtype) for record in planes]
        for kind in set(kinds):
            shape, dtype = kind
            index = kinds.index(kind)
            if self.output_shape(shape, name(index)) != expected:
                advice = "all records of a batch must become one size; set crop_size or prepare with --resize"
                raise self._refusal(name(index), shape, f"the batch is {dims(expected)}; {advice}")
            if self._asked.color_jitter is not None and dtype != np.uint8:
                what = f"{_JITTER_NEEDS}, and its values are {dtype}"
                raise self._refusal(name(index), shape, what)

    def _shown(self, record: Planes, wanted: Size, units: NDArray[np.float64]) -> Planes:
        """Returns what the net is to see of a record (C, H, W), with a mean image subtracted already."""
        asked = self._asked
        window = augmentation.find_window(asked, (record.shape[1], record.shape[2]), wanted, units)
        shown: Any = augmentation.show(_picture(record), window, wanted)
        if asked.color_jitter is not None:
            shown = augmentation.jitter(shown, asked.color_jitter, units)
        if self._mean is not None:
            shown = shown.astype(np.float32) - augmentation.show(self._mean, window, wanted)
        return as_planes(shown)

    def _refusal(self, name: str, record: Shape, why: str) -> DataError:
        return DataError(f"layer '{self._layer}': '{name}' is {dims(record)}, but {why}")


def _picture(planes: Planes) -> Planes:
    """Returns planes (C, H, W) as a picture (H, W, C) or (H, W), without copying what was decoded as one."""
    is_bare = planes.strides[0] > planes.strides[2]
    return images.from_planes(planes) if is_bare or len(planes) == 1 else planes.transpose(1, 2, 0)
