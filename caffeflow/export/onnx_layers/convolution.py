"""Convolution and the forks' depthwise types as Conv, Deconvolution as ConvTranspose.

Padding is written for each side, so `tf_pad`, which may pad the end alone, needs nothing more. ONNX wants
one batch axis and at least one spatial axis; where Caffe has others, Reshapes stand around.
"""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.convolution import DEPTHWISE, ConvolutionParams, Filters
from caffeflow.layers.params import canonical_axis


@writes("Convolution", *DEPTHWISE)
def write_convolution(layer: OnnxLayer) -> None:
    """Conv."""
    _write(layer, "Conv")


@writes("Deconvolution")
def write_deconvolution(layer: OnnxLayer) -> None:
    """ConvTranspose, whose output size without output_padding is Caffe's."""
    _write(layer, "ConvTranspose")


def _write(layer: OnnxLayer, op: str) -> None:
    params: ConvolutionParams = layer.params
    bottom = layer.facts.bottoms[0]
    axis = canonical_axis(params.axis, len(bottom))
    filters = params.filters(bottom)
    is_plain = axis == 1 and len(bottom) > 2
    weight = layer.learned("weight")
    learned = [layer.weight("weight", weight if filters.kernel else weight[..., None])]
    learned += [layer.weight("bias")] if params.bias_term else []
    attributes = {"group": params.groups(bottom), **_attributes(filters)}
    for index, value in enumerate(layer.bottoms):
        suffix = f"_{index}" if index else ""
        if is_plain:
            layer.node(op, [value, *learned], [layer.tops[index]], into=suffix.strip("_"), **attributes)
            continue
        dims = (-1, bottom[axis], *(bottom[axis + 1 :] or (1,)))
        folded = layer.reshape(value, dims, into=f"one_batch{suffix}")
        done = layer.add(op, folded, *learned, into=f"filtered{suffix}", **attributes)
        shape = layer.integers(f"shape{suffix}", layer.top_dims[index])
        layer.node("Reshape", [done, shape], [layer.tops[index]], into=f"unfold{suffix}")


def _attributes(filters: Filters) -> dict[str, list[int]]:
    if not filters.kernel:
        return {"kernel_shape": [1]}
    before = [
        0 if end_only else pad for pad, end_only in zip(filters.pad, filters.pads_end_only, strict=True)
    ]
    return {
        "kernel_shape": list(filters.kernel),
        "strides": list(filters.stride),
        "pads": [*before, *filters.pad],
        "dilations": list(filters.dilation),
    }
