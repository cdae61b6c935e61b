"""The records of a Data layer: Datums of an LMDB, in key order."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from caffeflow.data.readers.datum import DatumParser
from caffeflow.data.readers.lmdb import LmdbReader
from caffeflow.engine.feed.batches import Loaded
from caffeflow.errors import NetError
from caffeflow.images import Mode
from caffeflow.proto.caffe_pb2 import DataParameter, LayerParameter

_log = logging.getLogger(__name__)


class DatabaseRecords:
    """Reads the LMDB of a Data layer; what Caffe does not read either is named in a warning.

    Args:
        layer: The layer.
        mode: How encoded records are decoded.

    Raises:
        NetError: The layer asks for LevelDB.
        DataError: The LMDB cannot be read.
    """

    def __init__(self, layer: LayerParameter, mode: Mode) -> None:
        param = layer.data_param
        if param.backend != DataParameter.LMDB:
            raise NetError(
                "backend is LEVELDB in data_param (Caffe's default); only LMDB is read here: write"
                " 'backend: LMDB', and make the database with caffeflow prepare",
                layer=layer.name,
            )
        for field in ("rand_skip", "force_encoded_color"):
            if param.HasField(field):
                _log.warning("layer '%s': %s in data_param has no effect, as in Caffe", layer.name, field)
        self._layer = layer.name
        self._mode = mode
        self._has_warned = False
        self._reader = LmdbReader(Path(param.source))
        self._parser = DatumParser(param.source)
        self.count = self._reader.count

    def stream(self, start: int, *, step: int) -> Iterator[tuple[bytes, memoryview]]:
        """Yields key and value of every `step`-th record without end, from number `start` on."""
        return self._reader.records(start, step=step)

    def load(self, item: tuple[bytes, memoryview]) -> Loaded:
        """Returns the decoded record of a key and its value."""
        record = self._parser.parse(*item)
        if record.planes is not None and self._mode != "unchanged" and not self._has_warned:
            self._has_warned = True
            _log.warning(  # Caffe: only logs an error and takes the planes as they are (data_transformer.cpp)
                "layer '%s': force_color and force_gray have no effect on bare pixels, and '%s' holds such",
                self._layer,
                self._reader.path,
            )
        return Loaded(record.pixels(self._mode), record.label, record.name, record.planes is None)

    def close(self) -> None:
        """Closes the LMDB."""
        self._reader.close()
