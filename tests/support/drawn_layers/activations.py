"""Drawn layers that work on each element alone."""

from __future__ import annotations

from typing import Final, Literal

from caffeflow.proto.caffe_pb2 import LayerParameter
from tests.support.drawn_layers.configuration import Configuration, Family, one_bottom, weigh
from tests.support.drawn_layers.draw import Draw, Values, normal, positive, tied

_ENGINES: Final = (0, 1)  # DEFAULT and CAFFE; the third is cuDNN


InPlace = Literal["yes", "forward", "no"]
"""Whether Caffe allows a layer in place; `forward`: its gradient is then of values that are overwritten."""


def _elementwise(
    draw: Draw, layer: LayerParameter, *, in_place: InPlace = "yes", values: Values | None = None
) -> Configuration:
    is_in_place = in_place != "no" and draw.chance(0.3)
    backward = not (is_in_place and in_place == "forward")
    if backward:
        weigh(draw, layer)
    return Configuration(
        layer=layer,
        bottoms=one_bottom(draw.shape(1, 5), values or draw.one_of(normal, normal, tied)),
        in_place=is_in_place,
        backward=backward,
        phase=draw.one_of("TRAIN", "TEST"),
    )


def _plain(in_place: InPlace) -> Family:
    return lambda draw: _elementwise(draw, LayerParameter(), in_place=in_place)


def _with_engine(field: str) -> Family:
    def family(draw: Draw) -> Configuration:
        layer = LayerParameter()
        if draw.chance():
            getattr(layer, field).engine = draw.one_of(*_ENGINES)
        return _elementwise(draw, layer)

    return family


def clip(draw: Draw) -> Configuration:
    """Draws a Clip; bounds are multiples of a half, so that tied values meet them."""
    layer = LayerParameter()
    layer.clip_param.min = draw.integer(-3, 0) / 2
    layer.clip_param.max = layer.clip_param.min + draw.integer(1, 4) / 2
    return _elementwise(draw, layer)


def dropout(draw: Draw) -> Configuration:
    """Draws a Dropout that draws nothing, in TEST."""
    layer = LayerParameter()
    if draw.chance(0.8):
        layer.dropout_param.dropout_ratio = draw.number(0.05, 0.95)
    weigh(draw, layer)
    bottoms = one_bottom(draw.shape(1, 5))
    return Configuration(layer=layer, bottoms=bottoms, in_place=draw.chance(0.3), phase="TEST")


def elu(draw: Draw) -> Configuration:
    """Draws an ELU."""
    layer = LayerParameter()
    if draw.chance(0.8):
        layer.elu_param.alpha = draw.number(0.1, 2)
    return _elementwise(draw, layer)


def exp(draw: Draw) -> Configuration:
    """Draws an Exp of a small exponent."""
    layer = LayerParameter()
    _base_scale_shift(draw, layer.exp_param, scale=(-1, 1), shift=(-1, 1))
    return _elementwise(draw, layer)


def log(draw: Draw) -> Configuration:
    """Draws a Log of positive numbers."""
    layer = LayerParameter()
    _base_scale_shift(draw, layer.log_param, scale=(0.2, 3), shift=(0, 2))
    return _elementwise(draw, layer, in_place="forward", values=positive)


def _base_scale_shift(
    draw: Draw, param: object, *, scale: tuple[float, float], shift: tuple[float, float]
) -> None:
    for name, bounds in (("base", (1.5, 10)), ("scale", scale), ("shift", shift)):
        if draw.chance(0.6):
            setattr(param, name, draw.number(*bounds))


def power(draw: Draw) -> Configuration:
    """Draws a Power: of any number for whole exponents from 1 on, of positive ones for others."""
    layer = LayerParameter()
    whole = draw.chance()
    if draw.chance(0.8):
        layer.power_param.power = draw.integer(1, 3) if whole else draw.number(-2, 2.5)
    if draw.chance(0.6):
        layer.power_param.scale = draw.number(0.2, 2)
    if draw.chance(0.6):
        layer.power_param.shift = draw.number(0, 1)
    return _elementwise(draw, layer, in_place="forward", values=normal if whole else positive)


def prelu(draw: Draw) -> Configuration:
    """Draws a PReLU of two axes or more."""
    layer = LayerParameter()
    if draw.chance():
        layer.prelu_param.channel_shared = draw.chance()
    if draw.chance(0.8):
        draw.fill_any_shape(layer.prelu_param.filler)
    if draw.chance(0.2):
        layer.param.add().lr_mult = draw.one_of(0, 2)
    weigh(draw, layer)
    return Configuration(
        layer=layer,
        bottoms=one_bottom(draw.shape(2, 4), draw.one_of(normal, normal, tied)),
        in_place=draw.chance(0.3),
        phase=draw.one_of("TRAIN", "TEST"),
    )


def relu(draw: Draw) -> Configuration:
    """Draws a ReLU, leaky or not."""
    layer = LayerParameter()
    if draw.chance(0.6):
        layer.relu_param.negative_slope = draw.number(0.01, 0.6)
    if draw.chance():
        layer.relu_param.engine = draw.one_of(*_ENGINES)
    return _elementwise(draw, layer)


def swish(draw: Draw) -> Configuration:
    """Draws a Swish."""
    layer = LayerParameter()
    if draw.chance(0.8):
        layer.swish_param.beta = draw.number(-1, 3)
    return _elementwise(draw, layer)


def threshold(draw: Draw) -> Configuration:
    """Draws a Threshold, which has no gradient."""
    layer = LayerParameter()
    if draw.chance(0.8):
        layer.threshold_param.threshold = draw.integer(-3, 3) / 2
    return Configuration(
        layer=layer,
        bottoms=one_bottom(draw.shape(1, 5), draw.one_of(normal, tied)),
        in_place=draw.chance(0.3),
        backward=False,
    )


FAMILIES: Final[dict[str, Family]] = {
    "AbsVal": _plain("no"),
    "BNLL": _plain("forward"),
    "Clip": clip,
    "Dropout": dropout,
    "ELU": elu,
    "Exp": exp,
    "Log": log,
    "PReLU": prelu,
    "Power": power,
    "ReLU": relu,
    "Sigmoid": _with_engine("sigmoid_param"),
    "Swish": swish,
    "TanH": _with_engine("tanh_param"),
    "Threshold": threshold,
}
