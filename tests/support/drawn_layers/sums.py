"""Drawn layers that are sums of products with learned weights: convolutions, inner products, Embed, Scale, Bias."""

from __future__ import annotations

from math import prod
from typing import Final

from caffeflow.proto.caffe_pb2 import ConvolutionParameter, LayerParameter
from tests.support.drawn_layers.configuration import (
    Bottom,
    Configuration,
    Family,
    cut_some,
    one_bottom,
    weigh,
)
from tests.support.drawn_layers.draw import Draw, Shape, below, normal, tied


def _learning_rates(draw: Draw, layer: LayerParameter, *, blobs: int) -> None:
    """Sets the rates of some layers; a blob with rate 0 gets no gradient."""
    if draw.chance(0.25):
        for _ in range(draw.integer(1, blobs)):
            layer.param.add(lr_mult=draw.one_of(0, 1, 2), decay_mult=draw.one_of(0, 1))


def _window(draw: Draw, param: ConvolutionParameter, spatial: int) -> tuple[list[int], list[int]]:
    """Draws kernel, stride, pad and dilation; returns each axis' reach (of the kernel with its holes) and pad."""
    kernel = [draw.integer(1, 3) for _ in range(spatial)]
    stride = [draw.integer(1, 3) for _ in range(spatial)]
    pad = [draw.integer(0, 2) for _ in range(spatial)]
    dilation = [draw.one_of(1, 1, 2) for _ in range(spatial)]
    style = draw.one_of("once", "each", "h_w") if spatial == 2 else draw.one_of("once", "each")
    if style == "once":
        kernel, stride, pad, dilation = (each[:1] * spatial for each in (kernel, stride, pad, dilation))
    if style == "h_w":
        param.kernel_h, param.kernel_w = kernel
        param.stride_h, param.stride_w = stride
        param.pad_h, param.pad_w = pad
        param.dilation[:] = dilation
    else:
        count = 1 if style == "once" else spatial
        param.kernel_size[:] = kernel[:count]
        for field, values, usual in (("stride", stride, 1), ("pad", pad, 0), ("dilation", dilation, 1)):
            if values == [usual] * spatial and draw.chance():
                continue
            getattr(param, field)[:] = values[:count]
    reach = [gaps * (size - 1) + 1 for gaps, size in zip(dilation, kernel, strict=True)]
    return reach, pad


def _maps(draw: Draw, param: ConvolutionParameter, *, groups: int, least: list[int]) -> Shape:
    """Draws the shape of a bottom whose channels stand at the param's axis, and that axis."""
    outer = draw.shape(1, 1) if draw.chance(0.8) else draw.shape(0, 2)
    channels = groups * draw.integer(1, 3)
    shape = (*outer, channels, *(low + draw.integer(0, 5) for low in least))
    if len(outer) != 1 or draw.chance(0.2):
        param.axis = len(outer) - (len(shape) if draw.chance() else 0)
    return shape


def _convolution(draw: Draw, *, transposed: bool) -> Configuration:
    layer = LayerParameter()
    param = layer.convolution_param
    reach, pad = _window(draw, param, draw.one_of(0, 1, 2, 2, 2, 2, 3, 3))
    groups = draw.one_of(1, 1, 2, 3)
    if groups > 1 or draw.chance(0.1):
        param.group = groups
    param.num_output = groups * draw.integer(1, 3)
    if transposed:
        least = [max(1, 2 * edge - size + 2) for edge, size in zip(pad, reach, strict=True)]
    else:
        least = [max(1, size - 2 * edge) for edge, size in zip(pad, reach, strict=True)]
    shape = _maps(draw, param, groups=groups, least=least)
    if draw.chance(0.4):
        param.bias_term = draw.chance()
    draw.fill(param.weight_filler)
    if param.bias_term:
        draw.fill_any_shape(param.bias_filler)
    if draw.chance(0.3):
        param.engine = 1  # CAFFE
    if draw.chance(0.2):
        param.force_nd_im2col = draw.chance()
    count = draw.one_of(1, 1, 1, 2)  # one top for each bottom, by the same weights
    weigh(draw, layer, tops=count)
    bottoms = one_bottom(shape) * count
    asks = draw.chance(0.2)
    if not asks:
        _learning_rates(draw, layer, blobs=1 + param.bias_term)
        cut_some(draw, layer, bottoms)
    return Configuration(layer=layer, bottoms=bottoms, tops=count, asks_for_diffs=asks)


def convolution(draw: Draw) -> Configuration:
    """Draws a Convolution of up to three spatial axes."""
    return _convolution(draw, transposed=False)


def deconvolution(draw: Draw) -> Configuration:
    """Draws a Deconvolution of up to three spatial axes."""
    return _convolution(draw, transposed=True)


def im2col(draw: Draw) -> Configuration:
    """Draws an Im2col of one to three spatial axes."""
    layer = LayerParameter()
    param = layer.convolution_param
    reach, pad = _window(draw, param, draw.one_of(1, 2, 2, 3))
    least = [max(1, size - 2 * edge) for edge, size in zip(pad, reach, strict=True)]
    shape = _maps(draw, param, groups=1, least=least)
    if draw.chance(0.2):
        param.force_nd_im2col = draw.chance()
    weigh(draw, layer)
    return Configuration(layer=layer, bottoms=one_bottom(shape))


def inner_product(draw: Draw) -> Configuration:
    """Draws an InnerProduct from any axis on."""
    layer = LayerParameter()
    param = layer.inner_product_param
    shape = draw.shape(2, 5)
    param.num_output = draw.integer(1, 11)
    if draw.chance():
        param.axis = draw.axis(len(shape))
    if draw.chance():
        param.transpose = draw.chance()
    if draw.chance(0.4):
        param.bias_term = draw.chance()
    draw.fill(param.weight_filler)
    if param.bias_term:
        draw.fill_any_shape(param.bias_filler)
    weigh(draw, layer)
    _learning_rates(draw, layer, blobs=1 + param.bias_term)
    return Configuration(layer=layer, bottoms=one_bottom(shape), phase=draw.one_of("TRAIN", "TEST"))


def embed(draw: Draw) -> Configuration:
    """Draws an Embed; some rows are asked for more than once."""
    layer = LayerParameter()
    param = layer.embed_param
    param.input_dim, param.num_output = draw.integer(1, 9), draw.integer(1, 7)
    if draw.chance():
        param.bias_term = draw.chance()
    draw.fill(param.weight_filler)
    if param.bias_term:
        draw.fill_any_shape(param.bias_filler)
    weigh(draw, layer)
    bottom = Bottom(shape=draw.shape(1, 4), values=below(param.input_dim), gradient=False)
    return Configuration(layer=layer, bottoms=(bottom,))


def _factors(draw: Draw, layer: LayerParameter, field: str) -> tuple[Bottom, ...]:
    """Draws the axes of a Scale or Bias and its bottoms; the second one holds what else is learned."""
    param = getattr(layer, field)
    shape = draw.shape(1, 5)
    low = draw.integer(0, len(shape) - 1)
    covered = draw.integer(0, len(shape) - low)
    bottoms = (Bottom(shape=shape, values=draw.one_of(normal, tied)),)
    if draw.chance(0.4):
        other = shape[low : low + covered]
        bottoms += (Bottom(shape=other, gradient=bool(other)),)  # no layer learns in place of a single number
        cut_some(draw, layer, bottoms)
    else:
        param.num_axes = -1 if low + covered == len(shape) and draw.chance() else covered
        draw.fill_any_shape(param.filler)
    if low != 1 or len(shape) == 1 or draw.chance():
        param.axis = low - (len(shape) if draw.chance() else 0)
    return bottoms


def scale(draw: Draw) -> Configuration:
    """Draws a Scale, its factors learned or a bottom."""
    layer = LayerParameter()
    bottoms = _factors(draw, layer, "scale_param")
    if draw.chance():
        layer.scale_param.bias_term = draw.chance(0.8)
        draw.fill_any_shape(layer.scale_param.bias_filler)
    weigh(draw, layer)
    if len(bottoms) == 1:
        _learning_rates(draw, layer, blobs=1)
    return Configuration(layer=layer, bottoms=bottoms, in_place=draw.chance(0.3))


def bias(draw: Draw) -> Configuration:
    """Draws a Bias, its terms learned or a bottom."""
    layer = LayerParameter()
    bottoms = _factors(draw, layer, "bias_param")
    weigh(draw, layer)
    if len(bottoms) == 1:
        _learning_rates(draw, layer, blobs=1)
    return Configuration(layer=layer, bottoms=bottoms, in_place=draw.chance(0.3))


def parameter(draw: Draw) -> Configuration:
    """Draws a Parameter; with a loss weight Caffe forgets it."""
    layer = LayerParameter()
    shape = draw.shape(1, 5)
    layer.parameter_param.shape.dim[:] = shape
    blob = draw.random.standard_normal(prod(shape)).reshape(shape)
    return Configuration(layer=layer, bottoms=(), blobs=(blob,))


FAMILIES: Final[dict[str, Family]] = {
    "Bias": bias,
    "Convolution": convolution,
    "Deconvolution": deconvolution,
    "Embed": embed,
    "Im2col": im2col,
    "InnerProduct": inner_product,
    "Parameter": parameter,
    "Scale": scale,
}
