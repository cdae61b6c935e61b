"""Activations as ONNX operators; most have one of the same meaning."""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.activations import ClipParams, ELUParams, PReLUParams, ReLUParams, SwishParams


@writes("ReLU")
def write_relu(layer: OnnxLayer) -> None:
    """Relu, or LeakyRelu where negative values keep a slope."""
    params: ReLUParams = layer.params
    if params.negative_slope:
        layer.add("LeakyRelu", layer.bottoms[0], alpha=params.negative_slope)
    else:
        layer.add("Relu", layer.bottoms[0])


@writes("ReLU6")
def write_relu6(layer: OnnxLayer) -> None:
    """Clip between 0 and 6."""
    _clip(layer, 0.0, 6.0)


@writes("Clip")
def write_clip(layer: OnnxLayer) -> None:
    """Clip between the layer's bounds."""
    params: ClipParams = layer.params
    _clip(layer, params.low, params.high)


def _clip(layer: OnnxLayer, low: float, high: float) -> None:
    layer.add("Clip", layer.bottoms[0], layer.scalar("min", low), layer.scalar("max", high))


@writes("PReLU")
def write_prelu(layer: OnnxLayer) -> None:
    """PRelu; the slopes get an axis of one for each axis behind the channels."""
    params: PReLUParams = layer.params
    slope = layer.learned("slope")
    rest = len(layer.facts.bottoms[0]) - 2
    shape = (1,) if params.shared else (slope.size, *(1,) * rest)
    layer.add("PRelu", layer.bottoms[0], layer.weight("slope", slope.reshape(shape)))


@writes("ELU")
def write_elu(layer: OnnxLayer) -> None:
    """Elu."""
    params: ELUParams = layer.params
    layer.add("Elu", layer.bottoms[0], alpha=params.alpha)


@writes("Sigmoid")
def write_sigmoid(layer: OnnxLayer) -> None:
    """Sigmoid."""
    layer.add("Sigmoid", layer.bottoms[0])


@writes("TanH")
def write_tanh(layer: OnnxLayer) -> None:
    """Tanh."""
    layer.add("Tanh", layer.bottoms[0])


@writes("Swish")
def write_swish(layer: OnnxLayer) -> None:
    """X * sigmoid(beta * x); ONNX has an operator for it only from opset 24 on."""
    params: SwishParams = layer.params
    x = layer.bottoms[0]
    inner = x if params.beta == 1 else layer.add("Mul", x, layer.scalar("beta", params.beta), into="inner")
    layer.add("Mul", x, layer.add("Sigmoid", inner, into="gate"))


@writes("BNLL")
def write_bnll(layer: OnnxLayer) -> None:
    """Softplus: log(1 + exp(x))."""
    layer.add("Softplus", layer.bottoms[0])
