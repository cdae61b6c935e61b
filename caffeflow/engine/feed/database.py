"""The records of a Data layer: Datums of an LMDB, in key order."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from caffeflow.data.readers.datum import DatumParser
from caffeflow.data.readers.lmdb import LmdbReader
from caffeflow.engine.feed.records import Loaded
from caffeflow.errors import NetError
from caffeflow.images import Mode
from caffeflow.proto.caffe_pb2 import DataParameter, LayerParameter

Item: TypeAlias = tuple[memoryview, memoryview]

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

    def stream(self, start: int, *, step: int) -> Iterator[Item]:
        """Yields key and value of every `step`-th record without end, from number `start` on."""
        return self._reader.records(start, step=step)

    def load(self, items: Sequence[Item]) -> Loaded:
        """Returns the decoded records of keys and values."""
        block = self._parser.find_block([value for _, value in items])
        if block is not None:
            self._warn_of_force()
            return Loaded(*block, is_costly=False)
        records = [self._parser.parse(key, value) for key, value in items]
        if any(record.planes is not None for record in records):
            self._warn_of_force()
        return Loaded(
            [record.pixels(self._mode) for record in records],
            [record.label for record in records],
            is_costly=any(record.encoded is not None for record in records),
        )

    def name(self, item: Item) -> str:
        """Returns what messages call the record."""
        return f"{self._reader.path}: {bytes(item[0]).decode(errors='replace')}"

    def close(self) -> None:
        """Closes the LMDB."""
        self._reader.close()

    def _warn_of_force(self) -> None:
        """Says once that forced colours do nothing to bare pixels."""
        if self._mode == "unchanged" or self._has_warned:
            return
        self._has_warned = True
        # Caffe: only logs an error, and takes the planes as they are (data_transformer.cpp).
        _log.warning(
            "layer '%s': force_color and force_gray have no effect on bare pixels, and '%s' holds such",
            self._layer,
            self._reader.path,
        )
