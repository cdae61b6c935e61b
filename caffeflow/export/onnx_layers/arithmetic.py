"""AbsVal, Power, Exp, Log and Threshold as ONNX operators; factors of 1 and summands of 0 are left out."""

from __future__ import annotations

import math

from onnx import TensorProto, helper

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.arithmetic import BaseParams, PowerParams, ThresholdParams


def scaled(layer: OnnxLayer, value: str, *, by: float, plus: float = 0.0) -> str:
    """Returns the name of `value * by + plus`."""
    if by != 1:
        value = layer.add("Mul", value, layer.scalar("scale", by), into="scaled")
    if plus != 0:
        value = layer.add("Add", value, layer.scalar("shift", plus), into="shifted")
    return value


@writes("AbsVal")
def write_abs(layer: OnnxLayer) -> None:
    """Abs."""
    layer.add("Abs", layer.bottoms[0])


@writes("Power")
def write_power(layer: OnnxLayer) -> None:
    """(shift + scale * x) ^ power, or a constant of x's shape."""
    params: PowerParams = layer.params
    if params.constant is not None:
        value = helper.make_tensor("value", TensorProto.FLOAT, [1], [params.constant])
        shape = layer.add("Shape", layer.bottoms[0], into="shape")
        layer.add("ConstantOfShape", shape, value=value)
        return
    base = scaled(layer, layer.bottoms[0], by=params.scale, plus=params.shift)
    if params.power == 1:
        layer.add("Identity", base)
    else:
        layer.add("Pow", base, layer.scalar("power", params.power))


@writes("Exp")
def write_exp(layer: OnnxLayer) -> None:
    """Base ^ (shift + scale * x), as a power of e."""
    params: BaseParams = layer.params
    log = params.log_of_base
    exponent = scaled(layer, layer.bottoms[0], by=log * params.scale, plus=log * params.shift)
    layer.add("Exp", exponent)


@writes("Log")
def write_log(layer: OnnxLayer) -> None:
    """The natural logarithm of shift + scale * x, over that of the base."""
    params: BaseParams = layer.params
    inner = scaled(layer, layer.bottoms[0], by=params.scale, plus=params.shift)
    if math.isclose(params.log_of_base, 1.0):
        layer.add("Log", inner)
    else:
        log = layer.add("Log", inner, into="natural")
        layer.add("Div", log, layer.scalar("base", params.log_of_base))


@writes("Threshold")
def write_threshold(layer: OnnxLayer) -> None:
    """1 where x is greater, else 0."""
    params: ThresholdParams = layer.params
    above = layer.add("Greater", layer.bottoms[0], layer.scalar("threshold", params.threshold), into="above")
    layer.add("Cast", above, to=TensorProto.FLOAT)
