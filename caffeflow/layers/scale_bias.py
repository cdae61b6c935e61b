"""Scale and Bias: a factor or a summand for each channel, learned, or taken from a second bottom.

What is Caffe's own here:
  * the factor's shape is the `num_axes` axes of the bottom from `axis` on: -1 all of them, 0 a scalar;
  * with a second bottom its shape decides, num_axes does not count, and only Scale's bias is learned;
  * a Scale without filler begins at 1; its bias_term is false unless set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import canonical_axis, constant, dims, filler
from caffeflow.layers.spec import Blob, LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import BiasParameter, FillerParameter, LayerParameter, ScaleParameter


@dataclass(frozen=True, kw_only=True)
class ScaleParams:
    """The settings of Scale, and of Bias, which has only the first four.

    Attributes:
        filler: How the factor begins (Scale: ones, Bias: zeros, unless set).
        bias_term: Scale: whether a bias is added after scaling.
        bias_filler: How that bias begins; None: zeros.
    """

    axis: int
    num_axes: int
    filler: FillerParameter | None
    bias_term: bool = False
    bias_filler: FillerParameter | None = None

    @classmethod
    def read_scale(cls, layer: LayerParameter) -> ScaleParams:
        """Reads `scale_param`."""
        param = layer.scale_param
        _check(param)
        return cls(
            axis=param.axis,
            num_axes=param.num_axes,
            filler=filler(param, "filler") or constant(1.0),
            bias_term=param.bias_term,
            bias_filler=filler(param, "bias_filler"),
        )

    @classmethod
    def read_bias(cls, layer: LayerParameter) -> ScaleParams:
        """Reads `bias_param`."""
        param = layer.bias_param
        _check(param)
        return cls(axis=param.axis, num_axes=param.num_axes, filler=filler(param, "filler"))

    def placed(self, bottoms: Sequence[Shape]) -> tuple[int, Shape]:
        """Returns the first axis that the factor spans, and the factor's shape.

        Raises:
            NetError: The bottom has no such axes, or the second bottom does not match them.
        """
        bottom = bottoms[0]
        if len(bottoms) == 1:
            axis = canonical_axis(self.axis, len(bottom))
            end = len(bottom) if self.num_axes == -1 else axis + self.num_axes
            if end > len(bottom):
                found = (
                    f"axis {self.axis} and num_axes {self.num_axes} reach beyond the bottom {dims(bottom)}"
                )
                raise NetError(f"{found}, which has {len(bottom)} axes")
            return axis, bottom[axis:end]
        factor = bottoms[1]
        # Caffe: a scalar second bottom goes with any axis (scale_layer.cpp).
        axis = canonical_axis(self.axis, len(bottom)) if factor else 0
        if bottom[axis : axis + len(factor)] != factor:
            raise NetError(
                f"the second bottom {dims(factor)} must match the first, {dims(bottom)}, from axis {axis} on"
            )
        return axis, factor


def _check(param: ScaleParameter | BiasParameter) -> None:
    if param.num_axes < -1:
        raise NetError(f"num_axes is {param.num_axes}; it must be -1 or more")


def shapes(params: ScaleParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the first bottom's shape."""
    params.placed(bottoms)
    return [bottoms[0]]


def scale_blobs(params: ScaleParams, bottoms: Sequence[Shape]) -> list[Blob]:
    """Returns the factor unless a second bottom gives it, and the bias if there is one."""
    _, shape = params.placed(bottoms)
    factor = [Blob(name="scale", shape=shape, filler=params.filler)] if len(bottoms) == 1 else []
    bias = [Blob(name="bias", shape=shape, filler=params.bias_filler)] if params.bias_term else []
    return factor + bias


def bias_blobs(params: ScaleParams, bottoms: Sequence[Shape]) -> list[Blob]:
    """Returns the summand unless a second bottom gives it."""
    _, shape = params.placed(bottoms)
    return [Blob(name="bias", shape=shape, filler=params.filler)] if len(bottoms) == 1 else []


register(
    LayerSpec(
        type="Scale",
        bottoms=(1, 2),
        read=ScaleParams.read_scale,
        shapes=shapes,
        blobs=scale_blobs,
        learns=("scale", "bias"),
        may_be_in_place=True,
    )
)
register(
    LayerSpec(
        type="Bias",
        bottoms=(1, 2),
        read=ScaleParams.read_bias,
        shapes=shapes,
        blobs=bias_blobs,
        learns=("bias",),
        may_be_in_place=True,
    )
)
