"""Layers that bring values in from outside: records of a database, listed images, made-up values, inputs.

Data and ImageData take their shape from the first record, so `shapes` gets its (C, H, W) as bottom: before
cropping, after decoding and resizing. What they read and how is the feed's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import Pair, dims
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import BlobShape, DummyDataParameter, LayerParameter


@dataclass(frozen=True, kw_only=True)
class RecordParams:
    """The settings of Data and ImageData that decide their shapes.

    Attributes:
        crop: (height, width) cut from each record; None: the record as it is.
        tops: 2 where the labels are a top too.
    """

    batch_size: int
    crop: Pair | None
    tops: int

    @classmethod
    def read_data(cls, layer: LayerParameter) -> RecordParams:
        """Reads `data_param`, and the crop from `transform_param`."""
        if not layer.data_param.source:
            raise NetError("source is missing in data_param; it is the path of the database")
        return cls._read(layer, batch_size=layer.data_param.batch_size, field="data_param")

    @classmethod
    def read_image_data(cls, layer: LayerParameter) -> RecordParams:
        """Reads `image_data_param`, and the crop from `transform_param`."""
        param = layer.image_data_param
        if not param.source:
            raise NetError("source is missing in image_data_param; it is the path of the list of images")
        if (param.new_height > 0) != (param.new_width > 0):
            found = f"new_height {param.new_height}, new_width {param.new_width}"
            raise NetError(f"new_height and new_width must be given together; found {found}")
        return cls._read(layer, batch_size=param.batch_size, field="image_data_param")

    @classmethod
    def _read(cls, layer: LayerParameter, *, batch_size: int, field: str) -> RecordParams:
        if batch_size < 1:
            raise NetError(f"batch_size is {batch_size} in {field}; it must be at least 1")
        return cls(batch_size=batch_size, crop=_read_crop(layer), tops=len(layer.top))


def _read_crop(layer: LayerParameter) -> Pair | None:
    param = layer.transform_param
    if param.crop_size:
        return param.crop_size, param.crop_size
    return (param.crop_h, param.crop_w) if param.crop_h and param.crop_w else None


def record_shapes(params: RecordParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the batch of images, and its labels where they are a top."""
    channels, height, width = bottoms[0]
    crop_h, crop_w = params.crop or (height, width)
    if crop_h > height or crop_w > width:
        raise NetError(f"crop {crop_h} x {crop_w} is larger than the records, which are {height} x {width}")
    images = (params.batch_size, channels, crop_h, crop_w)
    return [images, (params.batch_size,)][: params.tops]


@dataclass(frozen=True, kw_only=True)
class GivenShapes:
    """The settings of Input and DummyData: the shape of each top."""

    tops: tuple[Shape, ...]

    @classmethod
    def read_input(cls, layer: LayerParameter) -> GivenShapes:
        """Reads `input_param`."""
        return cls(tops=_one_each(layer, [_read_shape(shape) for shape in layer.input_param.shape]))

    @classmethod
    def read_dummy(cls, layer: LayerParameter) -> GivenShapes:
        """Reads the shapes of `dummy_data_param`, in either of its two spellings."""
        param = layer.dummy_data_param
        fillers = len(param.data_filler)
        if fillers not in (0, 1, len(layer.top)):
            raise NetError(
                f"{fillers} data_filler for {len(layer.top)} tops; give none, one, or one for each"
            )
        if param.shape and (param.num or param.channels or param.height or param.width):
            raise NetError(
                "dummy_data_param gives shape and num/channels/height/width; give one or the other"
            )
        given = [_read_shape(shape) for shape in param.shape] or _old_shapes(param, len(layer.top))
        return cls(tops=_one_each(layer, given))


def _read_shape(shape: BlobShape) -> Shape:
    found = tuple(int(dim) for dim in shape.dim)
    if any(dim < 1 for dim in found):
        raise NetError(f"shape {dims(found)} has a dimension below 1")
    return found


def _old_shapes(param: DummyDataParameter, tops: int) -> list[Shape]:
    fields = [param.num, param.channels, param.height, param.width]
    for name, values in zip(("num", "channels", "height", "width"), fields, strict=True):
        if len(values) not in (1, tops):
            raise NetError(
                f"dummy_data_param has {len(values)} {name} for {tops} tops; give one, or one for each"
            )
    return [tuple(values[top % len(values)] for values in fields) for top in range(tops)]


def _one_each(layer: LayerParameter, given: Sequence[Shape]) -> tuple[Shape, ...]:
    tops = len(layer.top)
    if len(given) == 1:
        return tuple(given) * tops
    if len(given) != tops:
        raise NetError(f"{len(given)} shape for {tops} tops; give one for all, or one for each")
    return tuple(given)


def given_shapes(params: GivenShapes, _bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the shapes as written."""
    return list(params.tops)


register(
    LayerSpec(
        type="Data",
        bottoms=0,
        tops=(1, 2),
        read=RecordParams.read_data,
        shapes=record_shapes,
        reads_source=True,
    )
)
register(
    LayerSpec(
        type="ImageData",
        bottoms=0,
        tops=2,
        read=RecordParams.read_image_data,
        shapes=record_shapes,
        reads_source=True,
    )
)
register(
    LayerSpec(type="DummyData", bottoms=0, tops=(1, None), read=GivenShapes.read_dummy, shapes=given_shapes)
)
register(LayerSpec(type="Input", bottoms=0, tops=(1, None), read=GivenShapes.read_input, shapes=given_shapes))
