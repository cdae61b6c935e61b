"""SPP: poolings over ever finer grids, one after the other as channels, whatever the size of the planes.

What is Caffe's own here:
  * level i has 2^i windows along each axis, side by side, with padding where the size is no multiple;
  * a pyramid of height 1 stays N x C x 1 x 1; any other is flattened to N x values;
  * a level whose padding is as large as its window is refused, as Pooling refuses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import Pair, count, dims
from caffeflow.layers.pooling import Method, PoolingParams, check_window, method_of
from caffeflow.layers.pooling import shapes as pooled_shapes
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class SPPParams:
    """The settings of SPP.

    Attributes:
        height: The number of levels.
    """

    height: int
    method: Method

    @classmethod
    def read(cls, layer: LayerParameter) -> SPPParams:
        """Reads `spp_param`."""
        param = layer.spp_param
        if param.pyramid_height < 1:
            raise NetError(f"pyramid_height is {param.pyramid_height} in spp_param; it must be at least 1")
        return cls(height=param.pyramid_height, method=method_of(param.pool))

    def levels(self, bottom: Shape) -> list[PoolingParams]:
        """Returns the pooling of each level.

        Raises:
            NetError: Planes too small for a level.
        """
        if len(bottom) != 4:
            raise NetError(f"the bottom must have 4 axes (N, C, H, W); found {dims(bottom)}")
        return [self._level(number, (bottom[2], bottom[3])) for number in range(self.height)]

    def _level(self, number: int, size: Pair) -> PoolingParams:
        bins = 2**number
        kernel_h, kernel_w = (-(-along // bins) for along in size)
        kernel = (kernel_h, kernel_w)
        pad_h, pad_w = ((window * bins - along + 1) // 2 for window, along in zip(kernel, size, strict=True))
        pad = (pad_h, pad_w)
        try:
            check_window(self.method, kernel, pad)
        except NetError as error:
            raise NetError(
                f"{error}, in the level of {bins} x {bins} windows over planes of {dims(size)};"
                " give a smaller pyramid_height"
            ) from error
        return PoolingParams(method=self.method, kernel=kernel, stride=kernel, pad=pad, round_up=True, tops=1)


def shapes(params: SPPParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns all levels' values of an image as one axis, or the one level as it is."""
    (bottom,) = bottoms
    levels = [pooled_shapes(level, [bottom])[0] for level in params.levels(bottom)]
    if len(levels) == 1:
        return levels
    return [(bottom[0], sum(count(level[1:]) for level in levels))]


register(LayerSpec(type="SPP", read=SPPParams.read, shapes=shapes))
