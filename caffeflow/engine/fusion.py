"""What several layers of a training graph become in one: BatchNorm, Scale and ReLU together.

The one rule to know: fusing never changes what is computed, only how often memory is crossed. A pair
is fused only if nothing else reads the value between them; a ReLU overwrites its bottom only if no
gradient needs that bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

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
        norm = FusedBatchNorm(layer, scale)
        return _with_relu((layer, scale) if scale else (layer,), norm, chain)
    if layer.type in _TOP_NOT_KEPT:
        return _with_relu((layer,), layer.module.forward, chain)
    return Part((layer,), layer.module.forward)


def _with_relu(layers: tuple[NetLayer, ...], function: Function, chain: _Chains) -> Part:
    relu = chain.after(layers[-1], lambda layer: layer.type in _IN_PLACE)
    over = _IN_PLACE[relu.type](relu) if relu else None
    if relu is None or over is None:
        return Part(layers, function)
    return Part((*layers, relu), lambda *bottoms: over(function(*bottoms)))


def _is_channel_scale(layer: NetLayer) -> bool:
    return (
        layer.type == "Scale"
        and layer.facts.params.axis in (1, 1 - len(layer.facts.bottoms[0]))
        and len(layer.facts.blobs[0].shape) == 1
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


class FusedBatchNorm:
    """BatchNorm and the Scale behind it in one pass, with Caffe's sums kept on the side.

    torch's running statistics with a momentum of 1 are the batch's mean and unbiased variance, which
    is what Caffe adds to its decaying sums.
    """

    def __init__(self, norm: NetLayer, scale: NetLayer | None) -> None:
        params = norm.facts.params
        self._eps: Final[float] = params.eps
        self._fraction: Final[float] = params.moving_average_fraction
        given = params.use_global_stats
        self._uses_batch: Final[bool] = not (norm.phase == "TEST" if given is None else given)
        self._norm: Final = norm
        self._scale: Final = scale
        channels = norm.facts.bottoms[0][1]
        self._batch_mean: Tensor = torch.zeros(channels, device=norm.tensors[0].device)
        self._batch_variance: Tensor = torch.ones(channels, device=norm.tensors[0].device)

    def __call__(self, x: Tensor) -> Tensor:
        """Normalizes, scales and shifts."""
        weight, bias = [*(self._scale.tensors if self._scale else ()), None, None][:2]
        mean, variance = self._batch_mean, self._batch_variance
        if not self._uses_batch:
            mean, variance = self._averages()
        cudnn = torch.backends.cudnn.enabled
        top = torch.batch_norm(x, weight, bias, mean, variance, self._uses_batch, 1.0, self._eps, cudnn)
        if self._uses_batch:
            self._accumulate(x)
        return top

    def _averages(self) -> tuple[Tensor, Tensor]:
        mean_sum, variance_sum, factor = self._norm.tensors
        scale = torch.where(factor == 0, 0.0, 1.0 / factor)
        return mean_sum * scale, variance_sum * scale

    @torch.no_grad()
    def _accumulate(self, x: Tensor) -> None:
        mean_sum, variance_sum, factor = self._norm.tensors
        factor.mul_(self._fraction).add_(1.0)
        mean_sum.mul_(self._fraction).add_(self._batch_mean)
        # Caffe: of a single value the variance is 0 (batch_norm_layer.cpp), where torch has 0/0.
        variance_sum.mul_(self._fraction)
        if x.numel() > x.shape[1]:
            variance_sum.add_(self._batch_variance)
