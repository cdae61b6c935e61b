"""What several layers of a net become in one: BatchNorm, Scale and ReLU together.

The one rule to know: fusing never changes what is computed, only how often memory is crossed. A pair
is fused only if nothing else reads the value between them; a ReLU overwrites its bottom only if no
gradient needs that bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import torch

from caffeflow.engine.modules.batch_norm import BatchNorm
from caffeflow.engine.modules.scale_bias import Scale
from caffeflow.engine.net import NetLayer
from caffeflow.proto.graph import Value

Function = Callable[..., Any]

# Their tops are fresh memory that their own gradient does not look at again.
_TOP_NOT_KEPT: Final = frozenset(
    {"Convolution", "ConvolutionDepthwise", "DepthwiseConvolution", "Deconvolution", "InnerProduct",
     "BatchNorm", "Scale", "Bias", "Eltwise", "Concat"}
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One or more layers that run as one function."""

    layers: tuple[NetLayer, ...]
    function: Function

    @property
    def bottoms(self) -> tuple[Value, ...]:
        """What the first layer reads."""
        return self.layers[0].facts.node.bottoms

    @property
    def tops(self) -> tuple[Value, ...]:
        """What the last layer makes."""
        return self.layers[-1].facts.node.tops


def fuse(layers: Sequence[NetLayer], *, kept: Collection[Value]) -> list[Part]:
    """Groups the layers of a net into parts, in an order in which they can run.

    Args:
        layers: In file order.
        kept: Values that must exist after a forward: outputs, and what the caller asked for.
    """
    readers: dict[Value, list[NetLayer]] = {}
    for layer in layers:
        for value in layer.facts.node.bottoms:
            readers.setdefault(value, []).append(layer)
    chain = _Chains(readers, kept)
    taken: set[int] = set()
    parts = []
    for layer in layers:
        if layer.facts.node.index in taken:
            continue
        part = _part(layer, chain)
        taken.update(member.facts.node.index for member in part.layers)
        parts.append(part)
    return parts


class _Chains:
    """Finds the layer that alone reads another's only top."""

    def __init__(self, readers: dict[Value, list[NetLayer]], kept: Collection[Value]) -> None:
        self._readers = readers
        self._kept = kept

    def after(self, layer: NetLayer, wanted: Callable[[NetLayer], bool]) -> NetLayer | None:
        tops = layer.facts.node.tops
        if len(tops) != 1 or tops[0] in self._kept or layer.loss_weights[0]:
            return None
        readers = self._readers.get(tops[0], [])
        if len(readers) != 1 or readers[0].facts.node.bottoms != tops or not wanted(readers[0]):
            return None
        return readers[0]


def _part(layer: NetLayer, chain: _Chains) -> Part:
    if layer.type == "BatchNorm":
        scale = chain.after(layer, _is_channel_scale)
        return _with_relu((layer, scale) if scale else (layer,), _normalise(layer, scale), chain)
    if layer.type in _TOP_NOT_KEPT:
        return _with_relu((layer,), layer.module.forward, chain)
    return Part((layer,), layer.module.forward)


def _with_relu(layers: tuple[NetLayer, ...], function: Function, chain: _Chains) -> Part:
    relu = chain.after(layers[-1], lambda layer: layer.type in _IN_PLACE)
    over = _IN_PLACE[relu.type](relu) if relu else None
    if relu is None or over is None:
        return Part(layers, function)
    return Part((*layers, relu), lambda *bottoms: over(function(*bottoms)))


def _normalise(norm: NetLayer, scale: NetLayer | None) -> Function:
    if scale is None:
        return norm.module.forward
    module, learned = cast(BatchNorm, norm.module), cast(Scale, scale.module)
    if "bias" not in learned.blob_names:
        return lambda x: module.normalised(x, learned.scale)
    return lambda x: module.normalised(x, learned.scale, learned.bias)


def _is_channel_scale(layer: NetLayer) -> bool:
    return (
        layer.type == "Scale"
        and layer.facts.params.placed(layer.facts.bottoms) == (1, layer.facts.bottoms[0][1:2])
        and not any(layer.detached)
    )


def _relu_over(layer: NetLayer) -> Function | None:
    return None if layer.facts.params.negative_slope or any(layer.detached) else torch.relu_


def _relu6_over(layer: NetLayer) -> Function | None:
    # hardtanh's gradient is 0 at both bounds, as that of Caffe's ReLU6 is.
    return None if any(layer.detached) else lambda x: torch.nn.functional.hardtanh_(x, 0.0, 6.0)


_IN_PLACE: Final[dict[str, Callable[[NetLayer], Function | None]]] = {
    "ReLU": _relu_over,
    "ReLU6": _relu6_over,
}
