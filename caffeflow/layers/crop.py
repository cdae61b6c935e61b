"""Crop: cuts the first bottom to the size of the second, which serves as a measure only.

What is Caffe's own here:
  * axes from `axis` on (2 unless set) are cut, those before it stay as they are;
  * `offset` says where the cut begins: at 0, at one place for all of these axes, or at one for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import canonical_axis, dims
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class CropParams:
    """The settings of Crop.

    Attributes:
        offsets: As written: none, one for all axes that are cut, or one for each.
    """

    axis: int
    offsets: tuple[int, ...]

    @classmethod
    def read(cls, layer: LayerParameter) -> CropParams:
        """Reads `crop_param`."""
        return cls(axis=layer.crop_param.axis, offsets=tuple(layer.crop_param.offset))

    def begins(self, bottom: Shape) -> tuple[int, ...]:
        """Returns where the cut begins along each axis of the bottom.

        Raises:
            NetError: There are neither none, one, nor as many offsets as axes to cut.
        """
        axis = canonical_axis(self.axis, len(bottom))
        cut = len(bottom) - axis
        if len(self.offsets) > 1 and len(self.offsets) != cut:
            found = f"{len(self.offsets)} offset for {cut} axes to cut"
            raise NetError(f"{found}, from axis {axis} on; give none, one, or one for each")
        offsets = self.offsets if len(self.offsets) > 1 else (self.offsets or (0,)) * cut
        return (*(0,) * axis, *offsets)


def shapes(params: CropParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the first bottom's axes, then from `axis` on those of the second."""
    data, measure = bottoms
    begins = params.begins(data)
    axis = canonical_axis(params.axis, len(data))
    if len(measure) < len(data):
        raise NetError(f"the second bottom must have {len(data)} axes, as the first; found {dims(measure)}")
    top = (*data[:axis], *measure[axis : len(data)])
    for place in range(axis, len(data)):
        if begins[place] + top[place] > data[place]:
            cut = f"the cut takes {top[place]} from {begins[place]} on along axis {place}"
            raise NetError(f"{cut}, but the bottom ({dims(data)}) has only {data[place]}; correct the offset")
    return [top]


register(LayerSpec(type="Crop", bottoms=2, read=CropParams.read, shapes=shapes))
