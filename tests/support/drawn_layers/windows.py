"""Drawn layers that normalize or pool: BatchNorm, LRN, MVN, Pooling, Softmax, SPP.

BatchNorm, MVN and Softmax get no loss weights: where all top gradients are equal their gradient is zero, and
what Caffe has is rounding.
"""

from __future__ import annotations

from typing import Final

from caffeflow.proto.caffe_pb2 import LayerParameter, PoolingParameter
from tests.support.drawn_layers.configuration import Configuration, Family, one_bottom, weigh
from tests.support.drawn_layers.draw import Draw, Shape, normal, tied


def batch_norm(draw: Draw) -> Configuration:
    """Draws a BatchNorm with statistics of its own, or of several numbers a channel."""
    layer = LayerParameter()
    param = layer.batch_norm_param
    phase = draw.one_of("TRAIN", "TRAIN", "TEST")
    if draw.chance(0.3):
        param.use_global_stats = draw.chance()
    if draw.chance():
        param.moving_average_fraction = draw.number(0.1, 0.99)
    if draw.chance():
        param.eps = draw.number(0.001, 0.3)
    if draw.chance(0.2):
        for _ in range(3):
            layer.param.add(lr_mult=0)
    shape = (draw.integer(5, 9), draw.integer(1, 5), *draw.shape(0, 3))
    mean = draw.random.standard_normal(shape[1])
    variance, factor = draw.random.uniform(0.3, 2, shape[1]), draw.random.uniform(0.3, 5, 1)
    return Configuration(
        layer=layer,
        bottoms=one_bottom(shape),
        phase=phase,
        in_place=draw.chance(0.3),
        blobs=(mean * factor, variance * factor, factor) if draw.chance(0.8) else (),
    )


def lrn(draw: Draw) -> Configuration:
    """Draws an LRN across channels or within each."""
    layer = LayerParameter()
    param = layer.lrn_param
    size = draw.one_of(1, 3, 5, 7)
    if size != 5 or draw.chance():
        param.local_size = size
    for name, low, high in (("alpha", 0.01, 3), ("beta", 0.2, 1.5), ("k", 0.5, 3)):
        if draw.chance(0.7):
            setattr(param, name, draw.number(low, high))
    if draw.chance():
        param.norm_region = draw.one_of(0, 1)
    if draw.chance(0.3):
        param.engine = 1  # CAFFE
    weigh(draw, layer)
    return Configuration(
        layer=layer, bottoms=one_bottom((draw.integer(1, 3), *(draw.integer(2, 9) for _ in range(3))))
    )


def mvn(draw: Draw) -> Configuration:
    """Draws an MVN of up to four axes, over more than two numbers each."""
    layer = LayerParameter()
    if draw.chance(0.6):
        layer.mvn_param.normalize_variance = draw.chance()
    if draw.chance(0.6):
        layer.mvn_param.across_channels = draw.chance()
    if draw.chance(0.4):
        layer.mvn_param.eps = draw.number(0.001, 0.5)
    in_place = draw.chance(0.2)  # Caffe then overwrites the gradient before it is done with it
    shape = (*draw.shape(2, 2), draw.integer(3, 5), draw.integer(2, 7))
    return Configuration(layer=layer, bottoms=one_bottom(shape), in_place=in_place, backward=not in_place)


def _beyond(size: int, *, kernel: int, stride: int, pad: int, rounds_down: bool) -> bool:
    """Returns whether a window would lie beyond the image, where Caffe divides by zero or reads outside."""
    length = size + 2 * pad - kernel
    if length < 0:
        return True
    places = (length if rounds_down else length + stride - 1) // stride + 1
    if pad and (places - 1) * stride >= size + pad:
        places -= 1
    return (places - 1) * stride - pad >= size


def _pooling_window(draw: Draw, param: PoolingParameter, image: Shape) -> None:
    while True:
        kernel, stride = [draw.integer(1, 4) for _ in image], [draw.integer(1, 4) for _ in image]
        pad = [draw.integer(0, min(2, size - 1)) for size in kernel]
        square = draw.chance()
        if square:
            kernel, stride, pad = kernel[:1] * 2, stride[:1] * 2, pad[:1] * 2
        sides = zip(image, kernel, stride, pad, strict=True)
        if not any(
            _beyond(size, kernel=k, stride=s, pad=p, rounds_down=param.round_mode == 1)
            for size, k, s, p in sides
        ):
            break
    if square:
        param.kernel_size, param.stride, param.pad = kernel[0], stride[0], pad[0]
    else:
        param.kernel_h, param.kernel_w = kernel
        param.stride_h, param.stride_w = stride
        param.pad_h, param.pad_w = pad


def pooling(draw: Draw) -> Configuration:
    """Draws a Pooling, MAX or AVE; the maxima's places only without gradients, which Caffe has not either."""
    layer = LayerParameter()
    param = layer.pooling_param
    if draw.chance(0.7):
        param.pool = draw.one_of(0, 1)
    if draw.chance(0.3):
        param.round_mode = draw.one_of(0, 1)
    if draw.chance(0.3):
        param.engine = 1  # CAFFE
    image = (draw.integer(1, 9), draw.integer(1, 9))
    if draw.chance(0.15):
        param.global_pooling = True
    else:
        _pooling_window(draw, param, image)
    values = normal if param.pool == 1 else draw.one_of(normal, tied)
    masked = param.pool == 0 and draw.chance(0.3)
    if not masked:
        weigh(draw, layer)
    return Configuration(
        layer=layer,
        bottoms=one_bottom((*draw.shape(2, 2), *image), values),
        tops=1 + masked,
        backward=not masked,
        phase=draw.one_of("TRAIN", "TEST"),
    )


def softmax(draw: Draw) -> Configuration:
    """Draws a Softmax over any axis."""
    layer = LayerParameter()
    shape = draw.shape(2, 5)
    if draw.chance(0.7):
        layer.softmax_param.axis = draw.axis(len(shape))
    if draw.chance(0.3):
        layer.softmax_param.engine = 1  # CAFFE
    return Configuration(layer=layer, bottoms=one_bottom(shape), in_place=draw.chance(0.3))


def spp(draw: Draw) -> Configuration:
    """Draws an SPP whose pyramid's bins are no more than the image's rows and columns."""
    layer = LayerParameter()
    param = layer.spp_param
    param.pyramid_height = draw.integer(1, 3)
    if draw.chance(0.7):
        param.pool = draw.one_of(0, 1)
    if draw.chance(0.3):
        param.engine = 1  # CAFFE
    weigh(draw, layer)
    bins = 2 ** (param.pyramid_height - 1)
    image = []
    while len(image) < 2:
        size = bins + draw.integer(0, 9)
        if _fits_every_level(size, param.pyramid_height):
            image.append(size)
    return Configuration(
        layer=layer,
        bottoms=one_bottom(
            (*draw.shape(2, 2), *image), draw.one_of(normal, tied) if param.pool == 0 else normal
        ),
    )


def _fits_every_level(size: int, height: int) -> bool:
    """Returns whether every level's windows, padded by half of what is missing, lie in the image."""
    for level in range(height):
        bins = 2**level
        kernel = -(-size // bins)
        pad = (kernel * bins - size + 1) // 2
        if pad >= kernel or _beyond(size, kernel=kernel, stride=kernel, pad=pad, rounds_down=False):
            return False
    return True


FAMILIES: Final[dict[str, Family]] = {
    "BatchNorm": batch_norm,
    "LRN": lrn,
    "MVN": mvn,
    "Pooling": pooling,
    "SPP": spp,
    "Softmax": softmax,
}
