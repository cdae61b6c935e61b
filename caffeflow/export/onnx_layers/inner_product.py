"""InnerProduct as Gemm on rows: all axes before `axis` are one, and all from it on."""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.inner_product import InnerProductParams
from caffeflow.layers.params import canonical_axis


@writes("InnerProduct")
def write_inner_product(layer: OnnxLayer) -> None:
    """Flatten where there are other than two axes, Gemm, and Reshape where `axis` is not 1."""
    params: InnerProductParams = layer.params
    bottom = layer.facts.bottoms[0]
    axis = canonical_axis(params.axis, len(bottom))
    rows = layer.bottoms[0]
    if len(bottom) != 2 or axis != 1:
        rows = layer.add("Flatten", rows, into="rows", axis=axis)
    inputs = [rows, layer.weight("weight")]
    inputs += [layer.weight("bias")] if params.bias_term else []
    into = "" if axis == 1 else "product"
    product = layer.add("Gemm", *inputs, into=into, transB=int(not params.transpose))
    if into:
        layer.reshape(product, layer.top_dims[0])
