"""Where a point of one top lies in another, and the Crop layer that cuts one to the other.

A map is (axis, scale, shift): coordinate x of the one is scale * x + shift of the other, on all axes
from `axis` on; an axis of None means any. The rule to know: tops are followed back from both sides to a
blob that both come from, and a layer that has no such map (InnerProduct, say) ends the way.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.pycaffe.net_spec import Function, Top
from caffeflow.pycaffe.net_spec import layers as L  # noqa: N812 - as everyone calls it

Scale = NDArray[Any] | float
CoordMap = tuple[int | None, Scale, Scale]

IDENTITY: Final[CoordMap] = (None, 1, 0)
PASS_THROUGH_LAYERS: Final = [
    "AbsVal", "BNLL", "BatchNorm", "Bias", "Dropout", "ELU", "Eltwise", "Exp", "LRN", "Log", "MVN", "PReLU",
    "Power", "ReLU", "Scale", "Sigmoid", "Split", "TanH", "Threshold",
]  # fmt: skip
_BY_AXIS: Final = ("kernel_h", "kernel_w", "pad_h", "pad_w", "stride_h", "stride_w")


class UndefinedMapException(Exception):  # noqa: N818 - Caffe's name
    """A layer whose outputs lie nowhere in its inputs."""


class AxisMismatchException(Exception):  # noqa: N818 - Caffe's name
    """Two maps, one behind the other, that begin at different axes."""


def conv_params(fn: Function) -> tuple[int, NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Returns axis, stride, extent of the kernel with its dilation, and padding of a layer with a window."""
    settings = fn.params.get("convolution_param") or fn.params.get("pooling_param") or fn.params
    named = [name for name in _BY_AXIS if name in settings or name in fn.params]
    assert not named, (  # noqa: S101 - an AssertionError, as Caffe raises
        f"{fn.type_name} gives {', '.join(named)}, which coordinate maps do not read;"
        " give kernel_size, stride and pad as lists"
    )
    if "kernel_size" not in settings:
        raise UndefinedMapException(
            f"{fn.type_name} has no kernel_size, so nothing tells where its outputs lie"
        )
    dilation = np.array(settings.get("dilation", 1), ndmin=1)
    extent = (np.array(settings["kernel_size"], ndmin=1) - 1) * dilation + 1
    stride, pad = (
        np.array(settings.get(name, first), ndmin=1) for name, first in (("stride", 1), ("pad", 0))
    )
    return settings.get("axis", 1), stride, extent, pad


def crop_params(fn: Function) -> tuple[int, NDArray[Any]]:
    """Returns the first axis and the offsets of a Crop layer."""
    settings = fn.params.get("crop_param", fn.params)
    return settings.get("axis", 2), np.array(settings.get("offset", 0), ndmin=1)


def coord_map(fn: Function) -> CoordMap:
    """Returns the map of a layer.

    Raises:
        UndefinedMapException: It has none.
    """
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, extent, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (extent - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, extent, pad = conv_params(fn)
        return axis, stride, (extent - 1) / 2 - pad
    if fn.type_name in PASS_THROUGH_LAYERS:
        return IDENTITY
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset  # Caffe: counted from the last axis without coordinates (coord_map.py)
    raise UndefinedMapException(f"{fn.type_name} does not keep coordinates")


def compose(base_map: CoordMap, next_map: CoordMap) -> CoordMap:
    """Returns the map of two, one behind the other.

    Raises:
        AxisMismatchException: They begin at different axes.
    """
    base_axis, base_scale, base_shift = base_map
    next_axis, next_scale, next_shift = next_map
    if None not in (base_axis, next_axis) and base_axis != next_axis:
        raise AxisMismatchException(
            f"maps on the axes from {base_axis} and from {next_axis} cannot be put together"
        )
    axis = next_axis if base_axis is None else base_axis
    return axis, base_scale * next_scale, base_scale * next_shift + base_shift


def inverse(coord_map: CoordMap) -> CoordMap:
    """Returns the map the other way round."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def coord_map_from_to(top_from: Top, top_to: Top) -> CoordMap:
    """Returns the map from one top to another.

    Raises:
        RuntimeError: No blob leads to both by layers that keep coordinates.
        AxisMismatchException: Two layers on the way count axes differently.
    """
    known = {top_from: IDENTITY}
    frontier = [top_from]
    while frontier:
        top = frontier.pop()
        for bottom, its_map in _step_back(top, known[top]):
            known[bottom] = its_map
            frontier.append(bottom)
    maps = {top_to: IDENTITY}
    frontier = [top_to]
    while frontier:
        top = frontier.pop()
        if top in known:
            return compose(maps[top], inverse(known[top]))
        for bottom, its_map in _step_back(top, maps[top]):
            maps[bottom] = its_map
            frontier.append(bottom)
    raise RuntimeError(
        f"no layers that keep coordinates lead from one blob to both tops ({top_from.fn.type_name} and"
        f" {top_to.fn.type_name})"
    )


def crop(top_from: Top, top_to: Top) -> Any:
    """Returns the top of a Crop layer that cuts a top to the size and place of another.

    Raises:
        AssertionError: The scales differ, or it would have to begin outside or between pixels.
    """
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    # Assertions, because that is what Caffe raises and its users catch.
    assert np.all(scale == 1), f"crop: the tops differ in scale: {scale} instead of 1"  # noqa: S101
    assert np.all(shift <= 0), f"crop: it would begin outside, at the offset {-shift}"  # noqa: S101
    assert np.all(np.round(shift) == shift), f"crop: it would begin between pixels, at the offset {-shift}"  # noqa: S101
    if axis is None:
        raise UndefinedMapException("no layer lies between the two tops that says from which axis on to crop")
    offsets = [int(offset) for offset in np.atleast_1d(-np.round(shift))]
    return L.Crop(top_from, top_to, crop_param={"axis": axis + 1, "offset": offsets})


def _step_back(top: Top, so_far: CoordMap) -> list[tuple[Top, CoordMap]]:
    """Returns what a top is made of, and its map; nothing where the layer has none."""
    # A Crop's second bottom gives a size only.
    bottoms = top.fn.inputs[:1] if top.fn.type_name == "Crop" else top.fn.inputs
    try:
        its_map = coord_map(top.fn) if bottoms else IDENTITY
    except UndefinedMapException:
        return []
    return [(bottom, compose(so_far, its_map)) for bottom in bottoms]
