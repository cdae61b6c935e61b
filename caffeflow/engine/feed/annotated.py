"""The records of an AnnotatedData layer: AnnotatedDatums of an LMDB, in key order."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from caffeflow.data.readers.annotated import AnnotatedParser, AnnotatedRecord
from caffeflow.engine.feed.database import Item, open_database, record_name, refuse_bare
from caffeflow.engine.feed.records import Loaded
from caffeflow.engine.feed.settings import TransformSettings
from caffeflow.errors import DataError
from caffeflow.proto.caffe_pb2 import LayerParameter

_log = logging.getLogger(__name__)


class AnnotatedRecords:
    """Reads the LMDB of an AnnotatedData layer.

    Args:
        layer: The layer.
        settings: Say how encoded records are decoded, and whether bare ones can be transformed.

    Attributes:
        count: How many records there are.
        has_boxes: The layer's second top is boxes; otherwise the labels of whole pictures.

    Raises:
        NetError: The layer asks for LevelDB.
        DataError: The LMDB cannot be read.
    """

    def __init__(self, layer: LayerParameter, settings: TransformSettings) -> None:
        self._layer = layer.name
        self._mode = settings.mode
        self._must_be_encoded = settings.is_forks
        self._is_distorting = layer.transform_param.HasField("distort_param")
        self._has_warned = False
        self._reader = open_database(layer)
        self._parser = AnnotatedParser(self._reader.path)
        self._is_type_given = layer.annotated_data_param.HasField("anno_type")
        self.count = self._reader.count
        try:
            # Caffe: the first record tells what the layer gives (annotated_data_layer.cpp).
            first = self._parser.parse(*next(self._reader.records()))
        except DataError:
            self._reader.close()
            raise
        self.has_boxes = self._is_type_given or first.type is not None

    def stream(self, start: int, *, step: int) -> Iterator[Item]:
        """Yields key and value of every `step`-th record without end, from number `start` on."""
        return self._reader.records(start, step=step)

    def parse(self, item: Item) -> AnnotatedRecord:
        """Returns a record, not decoded yet.

        Raises:
            DataError: It is none, or one that the layer cannot use.
        """
        record = self._parser.parse(*item)
        if self.has_boxes and record.type is None and not self._is_type_given:
            raise DataError(
                f"layer '{self._layer}': '{record.datum.name}' has no annotation type, and the first record"
                " of the database has; prepare it again, or set anno_type: BBOX in annotated_data_param"
            )
        if record.datum.encoded is None:
            self._check_bare(record.datum.name)
        return record

    def load(self, items: Sequence[Item]) -> Loaded:
        """Returns the decoded records of keys and values, without their boxes."""
        records = [self.parse(item).datum for item in items]
        planes = [record.pixels(self._mode) for record in records]
        return Loaded(planes, [record.label for record in records], is_costly=True)

    def name(self, item: Item) -> str:
        """Returns what messages call the record."""
        return record_name(self._reader, item)

    def close(self) -> None:
        """Closes the LMDB."""
        self._reader.close()

    def _check_bare(self, name: str) -> None:
        """Says once what does nothing to bare pixels, and refuses what Caffe ends at."""
        if self._must_be_encoded:
            refuse_bare(self._layer, name)
        if self._has_warned or (self._mode == "unchanged" and not self._is_distorting):
            return
        self._has_warned = True
        # Caffe: only logs an error, and takes the planes as they are (data_transformer.cpp).
        _log.warning(
            "layer '%s': force_color, force_gray and distort_param have no effect on bare pixels, as in"
            " Caffe, and '%s' holds such",
            self._layer,
            self._reader.path,
        )
