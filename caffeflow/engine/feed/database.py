"""The records of a Data layer: Datums of an LMDB, in key order."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn, TypeAlias

from caffeflow.data.readers.datum import DatumParser
from caffeflow.data.readers.lmdb import LmdbReader
from caffeflow.engine.feed.records import Loaded
from caffeflow.engine.feed.settings import TransformSettings
from caffeflow.errors import DataError, NetError
from caffeflow.proto.caffe_pb2 import DataParameter, LayerParameter

Item: TypeAlias = tuple[memoryview, memoryview]

_log = logging.getLogger(__name__)


def open_database(layer: LayerParameter) -> LmdbReader:
    """Returns the opened LMDB of `data_param`; what Caffe does not read either is named in a warning.

    Raises:
        NetError: The layer asks for LevelDB.
        DataError: The LMDB cannot be read.
    """
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
    return LmdbReader(Path(param.source))


def record_name(reader: LmdbReader, item: Item) -> str:
    """Returns what messages call a record: database and key."""
    return f"{reader.path}: {bytes(item[0]).decode(errors='replace')}"


def refuse_bare(layer: str, name: str) -> NoReturn:
    """Raises DataError: SSD's transformer does not resize records of bare pixels."""
    # Caffe: leaves them as they are, and ends at the first that has not the size asked for already
    # (data_transformer.cpp).
    raise DataError(
        f"layer '{layer}': '{name}' holds bare pixels, and resize_param, noise_param, crop_h and crop_w act"
        " on image files only, in Caffe too; prepare with --encode jpg, or remove them"
    )


class DatabaseRecords:
    """Reads the LMDB of a Data layer.

    Args:
        layer: The layer.
        settings: Say how encoded records are decoded, and whether bare ones can be transformed.

    Raises:
        NetError: The layer asks for LevelDB.
        DataError: The LMDB cannot be read.
    """

    def __init__(self, layer: LayerParameter, settings: TransformSettings) -> None:
        self._layer = layer.name
        self._mode = settings.mode
        self._must_be_encoded = settings.is_forks
        self._has_warned = False
        self._reader = open_database(layer)
        self._parser = DatumParser(self._reader.path)
        self.count = self._reader.count

    def stream(self, start: int, *, step: int) -> Iterator[Item]:
        """Yields key and value of every `step`-th record without end, from number `start` on."""
        return self._reader.records(start, step=step)

    def load(self, items: Sequence[Item]) -> Loaded:
        """Returns the decoded records of keys and values."""
        block = self._parser.find_block([value for _, value in items])
        if block is not None and not self._must_be_encoded:
            self._warn_of_force()
            return Loaded(*block, is_costly=False)
        records = [self._parser.parse(key, value) for key, value in items]
        bare = next((record.name for record in records if record.planes is not None), None)
        if bare is not None:
            if self._must_be_encoded:
                refuse_bare(self._layer, bare)
            self._warn_of_force()
        return Loaded(
            [record.pixels(self._mode) for record in records],
            [record.label for record in records],
            is_costly=any(record.encoded is not None for record in records),
        )

    def name(self, item: Item) -> str:
        """Returns what messages call the record."""
        return record_name(self._reader, item)

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
