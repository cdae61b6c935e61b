"""From decoded pictures to a net's input as SSD's fork does it: resize, noise, crop, mirror, mean, scale.

Where this differs from the plain `transformer`: a mean file has the size of the result, which is not
cropped, and is subtracted after mirroring, not mirrored along. Bare pixels go by the plain rule there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from caffeflow import images
from caffeflow.data.readers.datum import Planes
from caffeflow.engine.feed import ground_truth
from caffeflow.engine.feed.boxes import Boxes, fractions
from caffeflow.engine.feed.draws import Draw, Draws, Indices, RecordDraws
from caffeflow.engine.feed.ground_truth import EmitRule, GroundTruth
from caffeflow.engine.feed.settings import Floats, TransformSettings
from caffeflow.errors import DataError
from caffeflow.layers.params import Pair, dims
from caffeflow.layers.spec import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a picture was taken over, which its boxes must follow.

    Attributes:
        size: (height, width) before resizing.
        crop: (4,) in fractions of the resized picture.
    """

    size: Pair
    crop: Boxes
    is_mirrored: bool


class PictureTransformer:
    """Transforms the decoded pictures of one layer.

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

    def output_shape(self, record: Shape, name: str, *, is_bare: bool = False) -> Shape:
        """Returns (C, h, w) of what becomes of a picture of (C, H, W).

        Args:
            record: Its shape.
            name: The record's, for messages.
            is_bare: It is not from an image file.

        Raises:
            DataError: The picture does not fit the crop or the mean.
        """
        channels, *size = record
        resize = self.settings.resize
        height, width = resize.rule.size(*size) if resize else size
        misfit = self.settings.find_misfit((channels, height, width), cropped=not is_bare)
        if misfit:
            self.refuse(name, record, misfit)
        return (channels, *(self.settings.crop or (height, width)))

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
        for index, (record, number) in enumerate(zip(planes, numbers.tolist(), strict=True)):
            image = record[0] if len(record) == 1 else record.transpose(1, 2, 0)
            draws = self._draws.of_record(number)
            self.write(image, draws, out[index], name=name(index))

    def write(
        self, image: Planes, draws: RecordDraws, out: Floats, *, name: str, is_bare: bool = False,
        even_from: Pair | None = None,
    ) -> View:  # fmt: skip
        """Writes one picture into its place in a batch.

        Args:
            image: (H, W) or (H, W, C)
            draws: The record's.
            out: (C, h, w)
            name: What messages call the record.
            is_bare: It is not from an image file.
            even_from: Row and column behind which the picture is of one colour.

        Raises:
            DataError: It does not fit the crop, the mean, the batch or what is asked for.
        """
        record = (image.shape[2] if image.ndim == 3 else 1, *image.shape[:2])
        if self.output_shape(record, name, is_bare=is_bare) != out.shape:
            advice = (
                "all pictures of a batch must have one size, set resize_param or crop_size; and one number of"
                " channels, set force_color"
            )
            self.refuse(name, record, f"the batch is {dims(out.shape)}; {advice}")
        size = image.shape[:2]
        try:
            if self.settings.resize:
                picture = image.astype(np.uint8, copy=False)
                image = self.settings.resize.picture(picture, draws, even_from=even_from)
            if self.settings.noise:
                image = self.settings.noise.picture(image.astype(np.uint8, copy=False), draws)
        except DataError as error:
            self.refuse(name, record, str(error))
        view, image, mean = self._crop(image, draws, out.shape[1:], size, is_bare=is_bare)
        self._convert(image, mean, out)
        return view

    def follow(self, truth: GroundTruth, view: View, emit: EmitRule | None) -> GroundTruth:
        """Returns the boxes of a picture that was written."""
        resize = self.settings.resize
        if resize:
            truth = resize.boxes(truth, view.size)
        truth = truth.within(view.crop, emit)
        if view.is_mirrored:
            truth = ground_truth.mirrored(truth)
        return resize.rescaled(truth, view.size, view.crop) if resize else truth

    def refuse(self, name: str, record: Shape, why: str) -> NoReturn:
        """Raises DataError: a record does not do."""
        raise DataError(f"layer '{self._layer}': '{name}' is {dims(record)}, but {why}")

    def _crop(
        self, image: Planes, draws: RecordDraws, wanted: Shape, size: Pair, *, is_bare: bool
    ) -> tuple[View, Planes, Floats | None]:
        """Returns the window, the picture in it, mirrored or not, and what is to be subtracted."""
        height, width = image.shape[:2]
        rows, columns = wanted
        top, left = (height - rows) // 2, (width - columns) // 2
        if self._is_random:
            top = draws.below(Draw.CROP_TOP, height - rows + 1)
            left = draws.below(Draw.CROP_LEFT, width - columns + 1)
        is_mirrored = self.settings.mirror and draws.below(Draw.MIRROR, 2) == 1
        image = image[top : top + rows, left : left + columns]
        mean = self.settings.mean
        if is_bare and mean is not None and mean.ndim == 3:
            mean = mean[:, top : top + rows, left : left + columns]
            mean = mean[:, :, ::-1] if is_mirrored else mean
        crop = fractions((left, top, left + columns, top + rows), (height, width))
        view = View(size=size, crop=crop, is_mirrored=is_mirrored)
        return view, images.mirrored(image) if is_mirrored else image, mean

    def _convert(self, image: Planes, mean: Floats | None, out: Floats) -> None:
        scale = np.float32(self.settings.scale)
        for channel, (plane, place) in enumerate(zip(images.planes_of(image), out, strict=True)):
            np.copyto(place, plane)
            if mean is not None:
                place -= mean[channel if len(mean) > 1 else 0]
            if scale != 1:
                place *= scale
