"""Layers that bring values in from outside: records of a database, listed images, made-up values, inputs.

Data, ImageData and AnnotatedData take their shape from the first record, so `shapes` gets its (C, H, W) as
bottom: decoded, before `resize_param` and the crop. What they read and how is the feed's business.

AnnotatedData's second top has a row for each box of a batch, so its height, 1 here, is another one in each
batch. Records that have a label and no boxes are told by a fourth number of their shape, 1.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from caffeflow.errors import NetError
from caffeflow.layers.params import Pair, dims
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import BlobShape, DummyDataParameter, LayerParameter, ResizeParameter

ResizeMode = Literal["WARP", "FIT_SMALL_SIZE", "FIT_LARGE_SIZE_AND_PAD"]

BOX_COLUMNS: Final = 8  # item, label, instance, xmin, ymin, xmax, ymax, difficult


@dataclass(frozen=True, kw_only=True)
class ResizeRule:
    """The sizes that `resize_param` asks for; Caffe computes them in single precision.

    Attributes:
        mode: WARP ignores the aspect; FIT_SMALL_SIZE covers height x width, and FIT_LARGE_SIZE_AND_PAD is
            covered by it, with padding around.
    """

    mode: ResizeMode
    height: int
    width: int

    @classmethod
    def find(cls, layer: LayerParameter) -> ResizeRule | None:
        """Reads `resize_param` of `transform_param`; None if it is not there."""
        if not layer.transform_param.HasField("resize_param"):
            return None
        param = layer.transform_param.resize_param
        if not (param.height and param.width):
            found = f"height {param.height}, width {param.width}"
            raise NetError(f"resize_param must give height and width above 0; found {found}")
        name = ResizeParameter.Resize_mode.Name(param.resize_mode)
        (mode,) = (known for known in get_args(ResizeMode) if known == name)
        return cls(mode=mode, height=param.height, width=param.width)

    def picture_size(self, height: int, width: int) -> Pair:
        """Returns (height, width) to which a picture itself is resized, before any padding."""
        if self.mode == "WARP":
            return self.height, self.width
        aspect, asked = single(width / height), single(self.width / self.height)
        is_width_given = aspect < asked if self.mode == "FIT_SMALL_SIZE" else aspect > asked
        if is_width_given:
            return max(int(single(self.width / aspect)), 1), self.width
        return self.height, max(int(single(aspect * self.height)), 1)

    def size(self, height: int, width: int) -> Pair:
        """Returns (height, width) of what becomes of a picture."""
        is_cover = self.mode == "FIT_SMALL_SIZE"
        return self.picture_size(height, width) if is_cover else (self.height, self.width)


def single(value: float) -> float:
    """Returns the nearest number of single precision."""
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    return float(rounded)


def record_source(layer: LayerParameter) -> str:
    """Returns the path that a data layer reads its records from, "" if it names none."""
    params = (layer.data_param, layer.image_data_param, layer.hdf5_data_param, layer.window_data_param)
    return next((param.source for param in params if param.source), "")


@dataclass(frozen=True, kw_only=True)
class RecordParams:
    """The settings of Data and ImageData that decide their shapes.

    Attributes:
        resize: The size that each record is given first.
        crop: (height, width) cut from each record; None: the record as it is.
        tops: 2 where the labels are a top too.
    """

    batch_size: int
    resize: ResizeRule | None
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
        return cls(
            batch_size=batch_size, resize=ResizeRule.find(layer), crop=read_crop(layer), tops=len(layer.top)
        )


@dataclass(frozen=True, kw_only=True)
class AnnotatedParams(RecordParams):
    """The settings of AnnotatedData that decide its shapes.

    Attributes:
        label_map_file: What its labels are called, for those who ask; no layer reads it. "": not given.
    """

    label_map_file: str

    @classmethod
    def read(cls, layer: LayerParameter) -> AnnotatedParams:
        """Reads `data_param`, `annotated_data_param`, and sizes from `transform_param`."""
        plain = RecordParams.read_data(layer)
        if plain.resize and plain.resize.mode == "FIT_SMALL_SIZE" and plain.batch_size != 1:
            raise NetError(
                f"batch_size is {plain.batch_size}, but resize_mode FIT_SMALL_SIZE gives each picture a size"
                " of its own; set batch_size: 1, or another resize_mode"
            )
        return cls(
            batch_size=plain.batch_size,
            resize=plain.resize,
            crop=plain.crop,
            tops=plain.tops,
            label_map_file=layer.annotated_data_param.label_map_file,
        )


def read_crop(layer: LayerParameter) -> Pair | None:
    """Returns (height, width) of the crop that `transform_param` asks for, or None."""
    param = layer.transform_param
    if param.crop_size:
        return param.crop_size, param.crop_size
    if bool(param.crop_h) != bool(param.crop_w):
        found = f"crop_h {param.crop_h}, crop_w {param.crop_w}"
        raise NetError(f"crop_h and crop_w must be given together in transform_param; found {found}")
    return (param.crop_h, param.crop_w) if param.crop_h else None


def record_shapes(params: RecordParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the batch of images, and its labels where they are a top."""
    return [_images(params, bottoms[0]), (params.batch_size,)][: params.tops]


def annotated_shapes(params: AnnotatedParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the batch of images, and one row of ground truth: how many there are, each batch decides."""
    is_labelled_only = len(bottoms[0]) == 4
    second = (params.batch_size, 1, 1, 1) if is_labelled_only else (1, 1, 1, BOX_COLUMNS)
    return [_images(params, bottoms[0][:3]), second][: params.tops]


def _images(params: RecordParams, record: Shape) -> Shape:
    channels, height, width = record
    if params.resize:
        height, width = params.resize.size(height, width)
    crop_h, crop_w = params.crop or (height, width)
    if crop_h > height or crop_w > width:
        raise NetError(f"crop {crop_h} x {crop_w} is larger than the records, which are {height} x {width}")
    return (params.batch_size, channels, crop_h, crop_w)


@dataclass(frozen=True, kw_only=True)
class GivenShapes:
    """The settings of Input, DummyData and MemoryData: the shape of each top."""

    tops: tuple[Shape, ...]

    @classmethod
    def read_input(cls, layer: LayerParameter) -> GivenShapes:
        """Reads `input_param`."""
        return cls(tops=_one_each(layer, [_read_shape(shape) for shape in layer.input_param.shape]))

    @classmethod
    def read_memory(cls, layer: LayerParameter) -> GivenShapes:
        """Reads the sizes of `memory_data_param`, a batch of images and their labels."""
        param = layer.memory_data_param
        images = (param.batch_size, param.channels, param.height, param.width)
        if min(images) < 1:
            raise NetError(
                "batch_size, channels, height and width must be given in memory_data_param, each at least 1;"
                f" found {dims(images)}"
            )
        return cls(tops=(images, images[:1]))

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
        settings=("transform_param",),
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
        settings=("transform_param",),
        reads_source=True,
    )
)
register(
    LayerSpec(
        type="AnnotatedData",
        bottoms=0,
        tops=(1, 2),
        read=AnnotatedParams.read,
        shapes=annotated_shapes,
        settings=("data_param", "transform_param"),
        reads_source=True,
    )
)
register(
    LayerSpec(type="DummyData", bottoms=0, tops=(1, None), read=GivenShapes.read_dummy, shapes=given_shapes)
)
register(
    LayerSpec(
        type="MemoryData",
        bottoms=0,
        tops=2,
        read=GivenShapes.read_memory,
        shapes=given_shapes,
        note="is fed by programs (caffeflow.pycaffe: set_input_arrays), not by the command line",
    )
)
register(LayerSpec(type="Input", bottoms=0, tops=(1, None), read=GivenShapes.read_input, shapes=given_shapes))
