"""Batches of annotated records: augmented pictures, and the boxes that remain in them.

How many rows the second top has is known when the last part of a batch is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from caffeflow import images
from caffeflow.data.readers.datum import Planes, Record
from caffeflow.engine.feed.annotated import AnnotatedRecords
from caffeflow.engine.feed.annotated_augmentation import AnnotatedAugmentation, Window
from caffeflow.engine.feed.batches import Batch, BatchSettings, Buffers, cut, shares
from caffeflow.engine.feed.database import Item
from caffeflow.engine.feed.draws import Draws, Indices, RecordDraws
from caffeflow.engine.feed.ground_truth import GroundTruth, Rows, gathered
from caffeflow.engine.feed.pictures import PictureTransformer
from caffeflow.engine.feed.settings import Floats
from caffeflow.errors import DataError

_BARE_BACKGROUND: Final = 32.0  # Caffe: fills a string with blanks (data_transformer.cpp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Framed:
    """A decoded record of which is known what is to be shown.

    Attributes:
        image: (H, W) or (H, W, C), whole.
        is_bare: It is not from an image file.
        truth: What the window shows of the boxes.
    """

    name: str
    label: int
    image: Planes
    is_bare: bool
    window: Window
    truth: GroundTruth
    draws: RecordDraws


class AnnotatedBatches:
    """Plans the batches of an AnnotatedData layer.

    Args:
        records: Its source; closed with the plan.
        augmentation: What comes before the transformer.
        transformer: Its transformer.
        draws: Its random numbers.
        settings: How the stream is cut.
    """

    def __init__(
        self,
        records: AnnotatedRecords,
        augmentation: AnnotatedAugmentation,
        transformer: PictureTransformer,
        draws: Draws,
        settings: BatchSettings,
    ) -> None:
        self._records = records
        self._augmentation = augmentation
        self._transformer = transformer
        self._draws = draws
        self._settings = settings
        self._buffers = Buffers(pin=settings.pin)
        mean = transformer.settings.mean
        values = mean if mean is not None and mean.ndim == 1 else np.zeros(1, np.float32)
        self._background = tuple(np.clip(np.rint(values), 0, 255).tolist())

    def batches(self, start: int) -> Iterator[Batch]:
        """Returns batches without end, from record `start` of the stream on."""
        return cut(self._records, self._settings, start, self._plan)

    def close(self) -> None:
        """Lets the source go; no part may run any more."""
        self._records.close()

    def check_first(self) -> None:
        """Raises DataError if the first record cannot be used."""
        self._shape(self._frame(next(self._records.stream(0, step=1)), 0))

    def _plan(self, items: Sequence[Item], numbers: Indices, end: int) -> Batch:
        # Caffe: the first record of each batch decides the batch's shape (annotated_data_layer.cpp).
        first = self._frame(items[0], int(numbers[0]))
        data = self._buffers.take((len(items), *self._shape(first)))
        labels = np.empty(len(items), np.float32)
        rows: list[Rows] = [np.empty((0, 7), np.float32)] * len(items)
        parts = tuple(
            partial(self._fill, items, numbers, (low, high), first if low == 0 else None, data, labels, rows)
            for low, high in shares(len(items), self._settings.parts)
        )
        return Batch(parts=parts, tops=partial(self._tops, data, labels, rows), end=end)

    def _tops(self, data: Tensor, labels: Floats, rows: Sequence[Rows]) -> tuple[Tensor, ...]:
        if not self._settings.with_labels:
            return (data,)
        second = gathered(rows) if self._records.has_boxes else labels[:, None, None, None]
        made = torch.from_numpy(second)
        return data, made.pin_memory() if self._settings.pin else made

    def _fill(
        self,
        items: Sequence[Item],
        numbers: Indices,
        part: tuple[int, int],
        first: Framed | None,
        data: Tensor,
        labels: Floats,
        rows: list[Rows],
    ) -> None:
        out = data.numpy()
        for index in range(*part):
            framed = first or self._frame(items[index], int(numbers[index]))
            first = None
            labels[index] = framed.label
            rows[index] = self._write(framed, out[index]).rows

    def _frame(self, item: Item, number: int) -> Framed:
        record = self._records.parse(item)
        image = self._decode(record.datum)
        draws = self._draws.of_record(number)
        window, truth = self._augmentation.frame(image.shape[:2], GroundTruth(record.boxes), draws)
        return Framed(
            name=record.datum.name,
            label=record.datum.label,
            image=image,
            is_bare=record.datum.encoded is None,
            window=window,
            truth=truth,
            draws=draws,
        )

    def _decode(self, datum: Record) -> Planes:
        planes = datum.pixels(self._transformer.settings.mode)
        if datum.encoded is None:
            return images.from_planes(planes)
        if self._augmentation.distortion is not None:
            try:
                self._augmentation.distortion.check(len(planes))
            except DataError as error:
                self._transformer.refuse(datum.name, planes.shape, str(error))
        return planes[0] if len(planes) == 1 else planes.transpose(1, 2, 0)

    def _shape(self, framed: Framed) -> tuple[int, ...]:
        channels = framed.image.shape[2] if framed.image.ndim == 3 else 1
        record = (channels, *framed.window.size)
        return self._transformer.output_shape(record, framed.name, is_bare=framed.is_bare)

    def _write(self, framed: Framed, out: Floats) -> GroundTruth:
        """Writes a picture into its place, and returns its boxes."""
        draws = framed.draws
        shown = self._augmentation.picture(
            framed.image, framed.window, self._background_of(framed), None if framed.is_bare else draws
        )
        end = framed.window.end_of(framed.image.shape[:2])
        view = self._transformer.write(
            shown, draws, out, name=framed.name, is_bare=framed.is_bare, even_from=end
        )
        return self._transformer.follow(framed.truth, view, self._augmentation.emit)

    def _background_of(self, framed: Framed) -> tuple[float, ...]:
        """Returns what surrounds an expanded picture."""
        channels = framed.image.shape[2] if framed.image.ndim == 3 else 1
        background = (_BARE_BACKGROUND,) if framed.is_bare else self._background
        return background * channels if len(background) == 1 else background
