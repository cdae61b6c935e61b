"""Drawn layers that join, cut, repeat, select and reduce."""

from __future__ import annotations

from math import prod
from typing import Final

from caffeflow.proto.caffe_pb2 import LayerParameter
from tests.support.drawn_layers.configuration import (
    Bottom,
    Configuration,
    Family,
    cut_some,
    one_bottom,
    weigh,
)
from tests.support.drawn_layers.draw import Draw, Shape, below, normal, positive, some_bits, tied


def argmax(draw: Draw) -> Configuration:
    """Draws an ArgMax over everything or one axis, of ties as well."""
    layer = LayerParameter()
    param = layer.argmax_param
    shape = draw.shape(2, 4)
    most = prod(shape[1:])
    if draw.chance(0.6):
        param.axis = draw.axis(len(shape))
        most = shape[param.axis]
    if draw.chance(0.6):
        param.top_k = draw.integer(1, most)
    if draw.chance(0.6):
        param.out_max_val = draw.chance()
    bottoms = one_bottom(shape, draw.one_of(normal, tied))
    return Configuration(layer=layer, bottoms=bottoms, backward=False)


def batch_reindex(draw: Draw) -> Configuration:
    """Draws a BatchReindex; some rows are taken more than once, some not at all."""
    layer = LayerParameter()
    shape = draw.shape(1, 5)
    weigh(draw, layer)
    places = Bottom(shape=draw.shape(1, 1), values=below(shape[0]), gradient=False)
    return Configuration(layer=layer, bottoms=(Bottom(shape=shape), places))


def concat(draw: Draw) -> Configuration:
    """Draws a Concat of one bottom or more."""
    layer = LayerParameter()
    shape = draw.shape(2, 5)
    axis = 1
    how = draw.one_of("", "axis", "axis", "older")
    if how == "axis":
        axis = layer.concat_param.axis = draw.axis(len(shape))
    elif how == "older":
        axis = layer.concat_param.concat_dim = draw.axis(len(shape)) % len(shape)
    axis %= len(shape)
    bottoms = tuple(
        Bottom(shape=(*shape[:axis], draw.integer(1, 5), *shape[axis + 1 :]))
        for _ in range(draw.integer(1, 4))
    )
    weigh(draw, layer)
    cut_some(draw, layer, bottoms)
    return Configuration(layer=layer, bottoms=bottoms)


def crop(draw: Draw) -> Configuration:
    """Draws a Crop from some axis on; the second bottom gives only sizes."""
    layer = LayerParameter()
    param = layer.crop_param
    shape = draw.shape(1, 5)
    axis = min(2, len(shape) - 1)
    if len(shape) < 3 or draw.chance():
        axis = param.axis = draw.axis(len(shape))
    axis %= len(shape)
    cropped = len(shape) - axis
    wanted, offsets = list(shape), []
    for place in range(axis, len(shape)):
        wanted[place] = draw.integer(1, shape[place])
        offsets.append(draw.integer(0, shape[place] - wanted[place]))
    how = draw.one_of("none", "one", "each")
    if how == "one":
        param.offset.append(min(offsets))
    elif how == "each" and cropped > 1:
        param.offset[:] = offsets
    elsewhere = tuple(draw.integer(1, 3) if place < axis else size for place, size in enumerate(wanted))
    weigh(draw, layer)
    return Configuration(layer=layer, bottoms=(Bottom(shape=shape), Bottom(shape=elsewhere, gradient=False)))


def eltwise(draw: Draw) -> Configuration:
    """Draws an Eltwise of two bottoms or more."""
    layer = LayerParameter()
    param = layer.eltwise_param
    if draw.chance(0.8):
        param.operation = draw.integer(0, 2)
    count = draw.integer(2, 4)
    values = normal
    if param.operation == 0:  # PROD
        if draw.chance():
            param.stable_prod_grad = draw.chance(0.3)
        values = positive
    elif param.operation == 1:  # SUM
        if draw.chance():
            param.coeff[:] = [draw.number(-2, 2) for _ in range(count)]
    else:
        values = draw.one_of(normal, tied)
    bottoms = one_bottom(draw.shape(1, 5), values) * count
    weigh(draw, layer)
    cut_some(draw, layer, bottoms)
    return Configuration(layer=layer, bottoms=bottoms)


def filter_(draw: Draw) -> Configuration:
    """Draws a Filter of one bottom or more, which keeps one row at least."""
    layer = LayerParameter()
    rows = draw.integer(1, 7)
    count = draw.integer(1, 3)
    kept = tuple(Bottom(shape=(rows, *draw.shape(0, 3))) for _ in range(count))
    chosen = Bottom(shape=(rows, *draw.one_of((), (1,), (1, 1))), values=some_bits, gradient=False)
    weigh(draw, layer, tops=count)
    return Configuration(layer=layer, bottoms=(*kept, chosen), tops=count)


def flatten(draw: Draw) -> Configuration:
    """Draws a Flatten of any run of axes."""
    layer = LayerParameter()
    shape = draw.shape(2, 5)
    if draw.chance(0.7):
        layer.flatten_param.axis = draw.axis(len(shape))
    if draw.chance(0.7):
        layer.flatten_param.end_axis = draw.axis(len(shape), layer.flatten_param.axis % len(shape))
    weigh(draw, layer)
    return Configuration(layer=layer, bottoms=one_bottom(shape))


def reduction(draw: Draw) -> Configuration:
    """Draws a Reduction of the last axes."""
    layer = LayerParameter()
    param = layer.reduction_param
    shape = draw.shape(1, 5)
    if draw.chance(0.8):
        param.operation = draw.integer(1, 4)
    if draw.chance(0.7):
        param.axis = draw.axis(len(shape))
    if draw.chance(0.6):
        param.coeff = draw.number(-2, 3)
    weigh(draw, layer)
    bottoms = one_bottom(shape, draw.one_of(normal, tied))
    return Configuration(layer=layer, bottoms=bottoms)


def reshape(draw: Draw) -> Configuration:
    """Draws a Reshape of some run of axes; dims are given, copied or worked out."""
    layer = LayerParameter()
    param = layer.reshape_param
    shape = draw.shape(1, 5)
    first, count = 0, len(shape)
    if draw.chance(0.6):
        first = draw.integer(0, len(shape))
        param.axis = first if draw.chance() else first - len(shape) - 1
        count = len(shape) - first
    if draw.chance(0.6):
        count = draw.integer(0, count)
        param.num_axes = count
    dims = _other_dims(draw, shape[first : first + count])
    worked_out = draw.integer(0, len(dims) - 1) if dims and draw.chance() else None
    for place, dim in enumerate(dims):
        copied = first + place < len(shape) and shape[first + place] == dim and draw.chance()
        param.shape.dim.append(-1 if place == worked_out else 0 if copied else dim)
    param.shape.SetInParent()
    weigh(draw, layer)
    return Configuration(layer=layer, bottoms=one_bottom(shape))


def _other_dims(draw: Draw, dims: Shape) -> list[int]:
    """Returns some of the ways to lay out as many numbers."""
    how = draw.one_of("merged", "split", "turned", "same")
    if how == "merged" and len(dims) > 1:
        return [*dims[:-2], dims[-2] * dims[-1]]
    if how == "split":
        return [*dims, 1] if draw.chance() else [1, *dims]
    return list(reversed(dims)) if how == "turned" else list(dims)


def silence(draw: Draw) -> Configuration:
    """Draws a Silence of one bottom or more."""
    bottoms = tuple(Bottom(shape=draw.shape(1, 5)) for _ in range(draw.integer(1, 4)))
    return Configuration(layer=LayerParameter(), bottoms=bottoms, tops=0, backward=False)


def slice_(draw: Draw) -> Configuration:
    """Draws a Slice into equal or given parts."""
    layer = LayerParameter()
    param = layer.slice_param
    shape = draw.shape(2, 5)
    axis = 1
    how = draw.one_of("", "axis", "axis", "older")
    if how == "axis":
        axis = param.axis = draw.axis(len(shape))
    elif how == "older":
        axis = param.slice_dim = draw.axis(len(shape)) % len(shape)
    axis %= len(shape)
    tops = draw.integer(1, 4)
    if draw.chance():
        size = tops * draw.integer(1, 3)
    else:
        size = tops + draw.integer(0, 4)
        param.slice_point[:] = draw.cuts(size, tops) if tops > 1 else []
        size = size if tops > 1 else shape[axis]
    weigh(draw, layer, tops=tops)
    return Configuration(
        layer=layer, bottoms=one_bottom((*shape[:axis], size, *shape[axis + 1 :])), tops=tops
    )


def split(draw: Draw) -> Configuration:
    """Draws a Split written in the file."""
    layer = LayerParameter()
    tops = draw.integer(1, 4)
    weigh(draw, layer, tops=tops)
    return Configuration(layer=layer, bottoms=one_bottom(draw.shape(1, 5)), tops=tops)


def tile(draw: Draw) -> Configuration:
    """Draws a Tile along any axis."""
    layer = LayerParameter()
    shape = draw.shape(2, 5)
    if draw.chance(0.7):
        layer.tile_param.axis = draw.axis(len(shape))
    layer.tile_param.tiles = draw.integer(1, 5)
    weigh(draw, layer)
    return Configuration(layer=layer, bottoms=one_bottom(shape))


FAMILIES: Final[dict[str, Family]] = {
    "ArgMax": argmax,
    "BatchReindex": batch_reindex,
    "Concat": concat,
    "Crop": crop,
    "Eltwise": eltwise,
    "Filter": filter_,
    "Flatten": flatten,
    "Reduction": reduction,
    "Reshape": reshape,
    "Silence": silence,
    "Slice": slice_,
    "Split": split,
    "Tile": tile,
}
