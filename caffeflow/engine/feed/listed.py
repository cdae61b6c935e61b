"""The records of an ImageData layer: image files named in a list.

Caffe lets every process of a distributed run go through the list by itself, in orders of their own; here
they share one order between them, as they share a database.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from caffeflow import images
from caffeflow.data.readers.datum import as_planes
from caffeflow.data.readers.image_list import read_image_list
from caffeflow.engine.feed.draws import Draws
from caffeflow.engine.feed.records import Loaded
from caffeflow.errors import DataError, NetError
from caffeflow.proto.caffe_pb2 import LayerParameter

_log = logging.getLogger(__name__)

_SKIP: Final = 3  # which of record 0's numbers; the transformer draws the ones before


class ListedImages:
    """Reads the images of an ImageData layer's list.

    Args:
        layer: The layer.
        draws: Its random numbers, for shuffling and skipping.

    Raises:
        NetError: rand_skip may skip the whole list.
        DataError: The list cannot be read.
    """

    def __init__(self, layer: LayerParameter, draws: Draws) -> None:
        param = layer.image_data_param
        for field in ("force_color", "force_gray"):
            if getattr(layer.transform_param, field):
                _log.warning(
                    "layer '%s': %s has no effect on ImageData, as in Caffe; set is_color", layer.name, field
                )
        self._list = read_image_list(Path(param.source))
        self._root = param.root_folder
        self._size = (param.new_height, param.new_width) if param.new_height else None
        self._mode: images.Mode = "color" if param.is_color else "gray"
        self._draws = draws
        self._shuffle = param.shuffle
        self.count = len(self._list)
        self._skip = self._draw_skip(param.rand_skip, layer.name)

    def stream(self, start: int, *, step: int) -> Iterator[int]:
        """Yields the index of every `step`-th entry without end, reshuffled each time round."""
        number = start + self._skip
        epoch = -1
        order = np.arange(self.count)
        while True:
            if number // self.count != epoch:
                epoch = number // self.count
                if self._shuffle:
                    order = self._draws.generator(epoch).permutation(self.count)
            yield int(order[number % self.count])
            number += step

    def load(self, items: Sequence[int]) -> Loaded:
        """Returns the decoded images of some entries."""
        planes = [as_planes(self._read(index)) for index in items]
        return Loaded(planes, self._list.labels[list(items)].tolist(), is_costly=True)

    def name(self, item: int) -> str:
        """Returns the path of an entry's image."""
        # Caffe: root_folder is put before the path as it is, so it must end with a slash.
        return self._root + self._list.name(item)

    def _read(self, index: int) -> images.Image:
        name = self.name(index)
        try:
            content = Path(name).read_bytes()
        except OSError as error:
            place = f"{self._list.where(index)}: image '{name}'"
            advice = f"check root_folder in image_data_param, which is '{self._root}'"
            raise DataError(f"{place} cannot be read: {error.strerror}; {advice}") from error
        image = images.decode(content, self._mode, name=name)
        return images.resize_squash(image, *self._size) if self._size else image

    def close(self) -> None:
        """Does nothing: files are open only while they are read."""

    def _draw_skip(self, limit: int, layer: str) -> int:
        if limit == 0:
            return 0
        skip = int(self._draws.below(limit, np.zeros(1, np.int64), draw=_SKIP)[0])
        if skip >= self.count:
            what = f"rand_skip {limit} in image_data_param may skip more than the {self.count} images"
            raise NetError(f"{what}; it must not be larger than their number", layer=layer)
        return skip
