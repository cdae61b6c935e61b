"""BatchNorm as BatchNormalization with the mean and the variance that the caffemodel's sums stand for.

Where the layer looks at its batch in TEST too, its mean and variance are computed in the graph.
"""

from __future__ import annotations

import numpy as np

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.batch_norm import BatchNormParams


@writes("BatchNorm")
def write_batch_norm(layer: OnnxLayer) -> None:
    """BatchNormalization with the factor and the bias of the Scale behind it, or 1 and 0."""
    params: BatchNormParams = layer.params
    if not params.uses_stored(layer.phase):
        _by_batch(layer)
        return
    mean, variance, total = (layer.learned(name) for name in ("mean", "variance", "factor"))
    # Caffe: sums that were never added to have the factor 0, and are 0 (batch_norm_layer.cpp).
    share = np.float32(0 if total[0] == 0 else 1 / total[0])
    scale = layer.scale
    has_bias = scale is not None and scale.params.bias_term
    inputs = (
        scale.weight("scale") if scale else layer.weight("scale", np.ones_like(mean)),
        scale.weight("bias") if scale and has_bias else layer.weight("bias", np.zeros_like(mean)),
        layer.weight("mean", mean * share),
        layer.weight("variance", variance * share),
    )
    layer.add("BatchNormalization", layer.bottoms[0], *inputs, epsilon=params.eps)


def _by_batch(layer: OnnxLayer) -> None:
    params: BatchNormParams = layer.params
    over = [axis for axis in range(len(layer.facts.bottoms[0])) if axis != 1]
    mean = layer.reduce("ReduceMean", layer.bottoms[0], over, keepdims=True, into="mean")
    centred = layer.add("Sub", layer.bottoms[0], mean, into="centred")
    squares = layer.add("Mul", centred, centred, into="squares")
    variance = layer.reduce("ReduceMean", squares, over, keepdims=True, into="variance")
    inner = layer.add("Add", variance, layer.scalar("eps", params.eps), into="variance_and_eps")
    layer.add("Div", centred, layer.add("Sqrt", inner, into="deviation"))
