"""ArgMax as ArgMax or TopK.

Of equal values Caffe names the larger index first, ONNX's TopK the smaller one; so TopK looks at the
reversed axis, and ArgMax is asked for the last index (opset 12).
"""

from __future__ import annotations

from typing import Final

from onnx import TensorProto

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.argmax import ArgMaxParams
from caffeflow.layers.params import canonical_axis, count

_BEFORE_THE_FIRST: Final = -(2**31)
_SELECTS_LAST_INDEX: Final = 12


@writes("ArgMax")
def write_argmax(layer: OnnxLayer) -> None:
    """Indices of the largest values as floats, or the values, or both."""
    params: ArgMaxParams = layer.params
    bottom = layer.facts.bottoms[0]
    if params.axis is None:
        flat = layer.add("Flatten", layer.bottoms[0], into="flat", axis=1)
        values, indices = _largest(layer, flat, axis=1, size=count(bottom[1:]))
        _stack(layer, values, indices)
        return
    axis = canonical_axis(params.axis, len(bottom))
    if layer.bottom_dims[0][axis] < 0:
        layer.refuse("it looks along the batch, whose size is left open; export it without --dynamic-batch")
    values, indices = _largest(layer, layer.bottoms[0], axis=axis, size=bottom[axis])
    layer.add("Identity", values if params.values else indices)


def _stack(layer: OnnxLayer, values: str, indices: str) -> None:
    """Indices, then values if they are wanted, as rows of one blob."""
    params: ArgMaxParams = layer.params
    if params.values:
        batch = layer.top_dims[0][0]
        rows = [
            layer.reshape(value, (batch, 1, params.top_k), into=into)
            for value, into in ((indices, "index_row"), (values, "value_row"))
        ]
        indices = layer.add("Concat", *rows, into="rows", axis=1)
    layer.reshape(indices, layer.top_dims[0])


def _largest(layer: OnnxLayer, value: str, *, axis: int, size: int) -> tuple[str, str]:
    """Returns the largest values and their indices, which are floats, along an axis of a size."""
    params: ArgMaxParams = layer.params
    if params.top_k == 1 and not params.values and layer.opset >= _SELECTS_LAST_INDEX:
        place = layer.add("ArgMax", value, into="place", axis=axis, keepdims=1, select_last_index=1)
        return value, layer.add("Cast", place, into="index", to=TensorProto.FLOAT)
    bounds = [
        layer.integers(name, [bound])
        for name, bound in (("start", -1), ("end", _BEFORE_THE_FIRST), ("axis", axis), ("step", -1))
    ]
    reversed_ = layer.add("Slice", value, *bounds, into="reversed")
    values, places = (layer.graph.new_value(f"{layer.facts.name}/{into}") for into in ("values", "places"))
    top_k = layer.integers("k", [params.top_k])
    layer.node("TopK", [reversed_, top_k], [values, places], into="top_k", axis=axis)
    floats = layer.add("Cast", places, into="places_as_floats", to=TensorProto.FLOAT)
    return values, layer.add("Sub", layer.scalar("last", size - 1), floats, into="index")
