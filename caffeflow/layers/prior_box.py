"""PriorBox: the boxes that an SSD's head starts from, the same for every image; SSD fork only.

Top [1, 2, H*W*P*4]: the boxes of each place, row by row, as fractions of the image, then their variances.
Bottoms: the feature map, and the image; only their heights and widths count. Where Caffe surprises:
  * `flip` is true unless set: each aspect ratio brings its reciprocal;
  * a place's boxes are, for each min_size: the square of min_size, the square of sqrt(min_size * max_size)
    if there are max_sizes, then one for each ratio but 1;
  * min_size and max_size are cut to whole numbers when boxes are made, though not when they are checked;
  * reduce_boxes (a fork's own) halves the first square, nothing else.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from caffeflow.errors import NetError
from caffeflow.layers.params import Pair, as_four
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter, PriorBoxParameter

_SAME_RATIO = 1e-6


@dataclass(frozen=True, kw_only=True)
class PriorBoxParams:
    """The settings of PriorBox.

    Attributes:
        max_sizes: None, or one for each of `min_sizes`.
        ratios: Aspect ratios other than 1, reciprocals included, in the order of the boxes.
        clip: Boxes are cut at the image's border.
        variances: One for all coordinates, or four.
        image: (height, width) of the image; None: the second bottom's.
        step: (height, width) of a place in the image; None: the image's size over the feature map's.
        offset: Where in its place a box has its centre.
        reduce_boxes: The first square of each min_size is half as long.
    """

    min_sizes: tuple[float, ...]
    max_sizes: tuple[float, ...]
    ratios: tuple[float, ...]
    clip: bool
    variances: tuple[float, ...]
    image: Pair | None
    step: tuple[float, float] | None
    offset: float
    reduce_boxes: bool

    @classmethod
    def read(cls, layer: LayerParameter) -> PriorBoxParams:
        """Reads `prior_box_param`."""
        param = layer.prior_box_param
        min_sizes, max_sizes = _read_sizes(param)
        image = _read_pair(param, "img_size", "img_h", "img_w")
        step = _read_pair(param, "step", "step_h", "step_w")
        return cls(
            min_sizes=min_sizes,
            max_sizes=max_sizes,
            ratios=_read_ratios(param),
            clip=param.clip,
            variances=_read_variances(param),
            image=None if image is None else (int(image[0]), int(image[1])),
            step=step,
            offset=param.offset,
            reduce_boxes=param.reduce_boxes,
        )

    @property
    def count(self) -> int:
        """The number of boxes at one place."""
        return (1 + len(self.ratios)) * len(self.min_sizes) + len(self.max_sizes)

    def sides(self) -> list[tuple[float, float]]:
        """Returns (height, width) in pixels of the boxes at one place, in their order."""
        boxes = []
        for smallest, largest in zip_longest(self.min_sizes, self.max_sizes):
            side = int(smallest)  # Caffe: an int takes the size (prior_box_layer.cpp)
            boxes.append((side / 2, side / 2) if self.reduce_boxes else (float(side), float(side)))
            if largest is not None:
                boxes.append((math.sqrt(side * int(largest)),) * 2)
            boxes.extend((side / math.sqrt(ratio), side * math.sqrt(ratio)) for ratio in self.ratios)
        return boxes


def _read_sizes(param: PriorBoxParameter) -> tuple[tuple[float, ...], tuple[float, ...]]:
    smallest, largest = tuple(param.min_size), tuple(param.max_size)
    if not smallest:
        raise NetError("min_size is missing in prior_box_param; give at least one")
    if min(smallest) <= 0:
        raise NetError(f"min_size is {min(smallest):g}; it must be positive")
    if largest and len(largest) != len(smallest):
        raise NetError(
            f"{len(largest)} max_size for {len(smallest)} min_size; give none, or one for each min_size"
        )
    for low, high in zip(smallest, largest, strict=False):
        if high <= low:
            raise NetError(f"max_size {high:g} belongs to min_size {low:g}; it must be greater")
    return smallest, largest


def _read_ratios(param: PriorBoxParameter) -> tuple[float, ...]:
    ratios = [1.0]
    for ratio in param.aspect_ratio:
        if ratio <= 0:
            raise NetError(f"aspect_ratio is {ratio:g}; it must be positive")
        if all(abs(ratio - other) >= _SAME_RATIO for other in ratios):
            ratios.append(ratio)
            if param.flip:
                ratios.append(_single(1 / ratio))
    return tuple(ratios[1:])


def _read_variances(param: PriorBoxParameter) -> tuple[float, ...]:
    variances = tuple(param.variance) or (_single(0.1),)
    if len(variances) not in (1, 4):
        raise NetError(f"{len(variances)} variance in prior_box_param; give none, one or four")
    if min(variances) <= 0:
        raise NetError(f"variance is {min(variances):g}; it must be positive")
    return variances


def _read_pair(param: PriorBoxParameter, both: str, height: str, width: str) -> tuple[float, float] | None:
    if param.HasField(height) or param.HasField(width):
        if param.HasField(both):
            raise NetError(f"both {both} and {height}/{width} are given; give one or the other")
        fields = (height, width)
    elif param.HasField(both):
        fields = (both, both)
    else:
        return None
    for field in fields:
        if getattr(param, field) <= 0:
            raise NetError(f"{field} is {getattr(param, field):g}; it must be positive")
    return getattr(param, fields[0]), getattr(param, fields[1])


def _single(value: float) -> float:
    """Returns a number as float32 keeps it."""
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded


def prior_box_shapes(params: PriorBoxParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the shape of the boxes and their variances."""
    if params.image is None and len(bottoms) < 2:
        raise NetError("has one bottom; give the image as the second, or img_size")
    height, width = as_four(bottoms[0])[2:]
    return [(1, 2, height * width * params.count * 4)]


register(
    LayerSpec(
        type="PriorBox",
        bottoms=(1, 2),
        read=PriorBoxParams.read,
        shapes=prior_box_shapes,
        note="gives its bottoms no gradient",
    )
)
