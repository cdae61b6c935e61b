"""Opens the source of a data layer, and looks at its first record; needs no torch."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from caffeflow.data.readers.hdf5 import Hdf5Files
from caffeflow.engine.feed.annotated import AnnotatedRecords
from caffeflow.engine.feed.database import DatabaseRecords
from caffeflow.engine.feed.draws import Draws
from caffeflow.engine.feed.listed import ListedImages
from caffeflow.engine.feed.records import Records
from caffeflow.engine.feed.settings import TransformSettings, naming
from caffeflow.errors import UnsupportedLayerError
from caffeflow.layers.hdf5 import Hdf5DataParams
from caffeflow.layers.spec import Shape, spec_for
from caffeflow.proto.caffe_pb2 import LayerParameter


def record_shape(layer: LayerParameter) -> Shape | list[Shape]:
    """Returns what `layers.inference` asks of a data layer's source.

    That is (C, H, W) of the first picture; (C, H, W, 1) where AnnotatedData's records have no boxes; and of
    HDF5Data the shape of a row for each top.
    """
    if layer.type == "HDF5Data":
        return list(open_hdf5(layer).shapes)
    return picture_shape(layer)


def picture_shape(layer: LayerParameter) -> Shape:
    """Returns (C, H, W) of the first picture of a data layer: decoded, before it is resized or cropped.

    Of an AnnotatedData layer whose records have no boxes it is (C, H, W, 1).
    """
    with closing(_open(layer)) as records:
        has_labels_only = isinstance(records, AnnotatedRecords) and not records.has_boxes
        return (*first_shape(records), 1) if has_labels_only else first_shape(records)


def first_shape(records: Records) -> Shape:
    """Returns (C, H, W) of the first record of an opened source."""
    return tuple(records.load([next(records.stream(0, step=1))]).planes[0].shape)


def open_hdf5(layer: LayerParameter) -> Hdf5Files:
    """Returns the files of an HDF5Data layer, which were looked at."""
    with naming(layer):
        params: Hdf5DataParams = spec_for(layer).read(layer)
    return Hdf5Files(Path(layer.hdf5_data_param.source), params.names)


def record_count(layer: LayerParameter) -> int:
    """Returns how many records the source of a data layer holds."""
    if layer.type == "HDF5Data":
        return sum(open_hdf5(layer).rows)
    with closing(_open(layer)) as records:
        return records.count


def open_records(layer: LayerParameter, settings: TransformSettings, draws: Draws) -> Records:
    """Returns the opened source of a Data, ImageData or AnnotatedData layer."""
    if layer.type == "Data":
        return DatabaseRecords(layer, settings)
    if layer.type == "ImageData":
        return ListedImages(layer, draws)
    if layer.type == "AnnotatedData":
        return AnnotatedRecords(layer, settings)
    raise reads_no_records(layer)


def reads_no_records(layer: LayerParameter) -> UnsupportedLayerError:
    """Returns the error of a layer that is asked for records and has none."""
    what = f"type '{layer.type}' reads no records; expected Data, ImageData or AnnotatedData"
    return UnsupportedLayerError(what, layer=layer.name)


def _open(layer: LayerParameter) -> Records:
    with naming(layer):
        spec_for(layer).read(layer)
    return open_records(layer, TransformSettings.read(layer), Draws(0, layer.name))
