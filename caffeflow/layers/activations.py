"""Activations: a function of each element, one bottom and one top of the same shape.

What is Caffe's own here:
  * ReLU's gradient at 0 is the slope; ReLU6's is 0 at both ends; Clip's is 1 at both bounds;
  * Clip in place takes its gradient from the clipped values, so all of it passes, clipped or not;
  * PReLU is the only one that learns: one slope a channel, 0.25 unless there is a filler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from caffeflow.errors import NetError
from caffeflow.layers.params import constant, dims, filler, is_in_place
from caffeflow.layers.spec import Blob, LayerSpec, Shape, no_blobs, no_params, register, same_shape
from caffeflow.proto.caffe_pb2 import FillerParameter, LayerParameter


@dataclass(frozen=True, kw_only=True)
class ReLUParams:
    """The settings of ReLU."""

    negative_slope: float

    @classmethod
    def read(cls, layer: LayerParameter) -> ReLUParams:
        """Reads `relu_param`."""
        slope = layer.relu_param.negative_slope
        if slope < 0 and is_in_place(layer):
            # Caffe: in place the sign of the result decides, wrong for such slopes (relu_layer.cpp).
            raise NetError(f"negative_slope {slope:g} has a wrong gradient in place; give it its own top")
        return cls(negative_slope=slope)


@dataclass(frozen=True, kw_only=True)
class ClipParams:
    """The settings of Clip.

    Attributes:
        in_place: The gradient then passes everywhere, as Caffe's does.
    """

    low: float
    high: float
    in_place: bool

    @classmethod
    def read(cls, layer: LayerParameter) -> ClipParams:
        """Reads `clip_param`."""
        param = layer.clip_param
        for name in ("min", "max"):
            if not param.HasField(name):
                raise NetError(f"{name} is missing in clip_param; it has no default")
        return cls(low=param.min, high=param.max, in_place=is_in_place(layer))


@dataclass(frozen=True, kw_only=True)
class PReLUParams:
    """The settings of PReLU.

    Attributes:
        shared: One slope for all channels.
        filler: How the slopes begin.
    """

    shared: bool
    filler: FillerParameter

    @classmethod
    def read(cls, layer: LayerParameter) -> PReLUParams:
        """Reads `prelu_param`."""
        param = layer.prelu_param
        return cls(shared=param.channel_shared, filler=filler(param, "filler") or constant(0.25))


def prelu_shapes(_params: PReLUParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the bottom's shape, which must have channels."""
    if len(bottoms[0]) < 2:
        raise NetError(f"the bottom must have at least 2 axes; found {dims(bottoms[0])}")
    return [bottoms[0]]


def prelu_blobs(params: PReLUParams, bottoms: Sequence[Shape]) -> list[Blob]:
    """Returns the slopes: one a channel, or a scalar."""
    shape = () if params.shared else (bottoms[0][1],)
    return [Blob(name="slope", shape=shape, filler=params.filler)]


@dataclass(frozen=True, kw_only=True)
class ELUParams:
    """The settings of ELU."""

    alpha: float

    @classmethod
    def read(cls, layer: LayerParameter) -> ELUParams:
        """Reads `elu_param`."""
        return cls(alpha=layer.elu_param.alpha)


@dataclass(frozen=True, kw_only=True)
class SwishParams:
    """The settings of Swish."""

    beta: float

    @classmethod
    def read(cls, layer: LayerParameter) -> SwishParams:
        """Reads `swish_param`."""
        return cls(beta=layer.swish_param.beta)


def _register(
    layer_type: str,
    read: Callable[[LayerParameter], Any] = no_params,
    *,
    shapes: Callable[[Any, Sequence[Shape]], list[Shape]] = same_shape,
    blobs: Callable[[Any, Sequence[Shape]], list[Blob]] = no_blobs,
    learns: tuple[str, ...] = (),
    note: str = "",
) -> None:
    register(
        LayerSpec(
            type=layer_type,
            read=read,
            shapes=shapes,
            blobs=blobs,
            learns=learns,
            may_be_in_place=True,
            note=note,
        )
    )


_register("BNLL")
_register("Clip", ClipParams.read, note="in place the gradient passes everywhere, as in Caffe")
_register("ELU", ELUParams.read)
_register("PReLU", PReLUParams.read, shapes=prelu_shapes, blobs=prelu_blobs, learns=("slope",))
_register("ReLU", ReLUParams.read)
_register("ReLU6")
_register("Sigmoid")
_register("Swish", SwishParams.read)
_register("TanH")
