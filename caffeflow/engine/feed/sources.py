"""Opens the source of a data layer, and looks at its first record; needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from caffeflow.engine.feed.database import DatabaseRecords
from caffeflow.engine.feed.draws import Draws
from caffeflow.engine.feed.listed import ListedImages
from caffeflow.engine.feed.records import Records
from caffeflow.engine.feed.transformer import TransformSettings
from caffeflow.errors import NetError, UnsupportedLayerError
from caffeflow.layers.spec import Shape, spec_for
from caffeflow.proto.caffe_pb2 import LayerParameter


def record_shape(layer: LayerParameter) -> Shape:
    """Returns (C, H, W) of the first record of a Data or ImageData layer, before cropping."""
    with closing(_open(layer)) as records:
        return first_shape(records)


def first_shape(records: Records) -> Shape:
    """Returns (C, H, W) of the first record of an opened source."""
    return tuple(records.load([next(records.stream(0, step=1))]).planes[0].shape)


def record_count(layer: LayerParameter) -> int:
    """Returns how many records the source of a Data or ImageData layer holds."""
    with closing(_open(layer)) as records:
        return records.count


def open_records(layer: LayerParameter, settings: TransformSettings, draws: Draws) -> Records:
    """Returns the opened source of a Data or ImageData layer."""
    if layer.type == "Data":
        return DatabaseRecords(layer, settings.mode)
    if layer.type == "ImageData":
        return ListedImages(layer, draws)
    what = f"type '{layer.type}' reads no records; expected Data or ImageData"
    raise UnsupportedLayerError(what, layer=layer.name)


@contextmanager
def naming(layer: LayerParameter) -> Iterator[None]:
    """Adds the layer's name to errors of its settings."""
    try:
        yield
    except NetError as error:
        error.layer = error.layer or layer.name
        raise


def _open(layer: LayerParameter) -> Records:
    with naming(layer):
        spec_for(layer).read(layer)
    return open_records(layer, TransformSettings.read(layer), Draws(0, layer.name))
