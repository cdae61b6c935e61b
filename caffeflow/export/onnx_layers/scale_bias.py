"""Scale and Bias as Mul and Add; the factor gets an axis of one for each axis behind it."""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.scale_bias import ScaleParams
from caffeflow.layers.spec import Shape


@writes("Scale")
def write_scale(layer: OnnxLayer) -> None:
    """Mul, and Add where there is a bias."""
    params: ScaleParams = layer.params
    into = "scaled" if params.bias_term else ""
    product = layer.add("Mul", layer.bottoms[0], _operand(layer, "scale"), into=into)
    if into:
        layer.add("Add", product, layer.weight("bias", layer.learned("bias").reshape(_spread(layer))))


@writes("Bias")
def write_bias(layer: OnnxLayer) -> None:
    """Add."""
    layer.add("Add", layer.bottoms[0], _operand(layer, "bias"))


def _operand(layer: OnnxLayer, name: str) -> str:
    """Returns the name of the factor or summand, learned or from the second bottom, ready to broadcast."""
    if len(layer.bottoms) == 1:
        return layer.weight(name, layer.learned(name).reshape(_spread(layer)))
    behind = len(_spread(layer)) - len(layer.facts.bottoms[1])
    if not behind:
        return layer.bottoms[1]
    return layer.reshape(layer.bottoms[1], (*layer.bottom_dims[1], *(1,) * behind), into=name)


def _spread(layer: OnnxLayer) -> Shape:
    params: ScaleParams = layer.params
    axis, shape = params.placed(layer.facts.bottoms)
    behind = len(layer.facts.bottoms[0]) - axis - len(shape)
    return (*shape, *(1,) * behind) if shape else ()
