"""Random weights that are worth comparing: every layer's output is of order 1.

With its first statistics (zeros) a BatchNorm multiplies by 316, and with Caffe's old fillers (gaussian
0.01) a deep net's scores all but vanish; numbers that grow or fade so compare as equal or as different
whatever the engine does. So weights are scaled, layer after layer, until outputs have a standard
deviation of 1 (LSUV, arXiv:1511.06422), and then BatchNorm's statistics are averaged over some batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from caffeflow.engine.modules.batch_norm import BatchNorm
from caffeflow.engine.net import Net, NetLayer
from caffeflow.engine.training import Feeds, FusedExecutor
from caffeflow.errors import NetError
from caffeflow.proto.graph import Value

_ROUNDS: Final = 4
_CLOSE_ENOUGH: Final = 0.05
_WEIGHTED: Final = (
    "Convolution",
    "Deconvolution",
    "DepthwiseConvolution",
    "ConvolutionDepthwise",
    "InnerProduct",
)


@dataclass(frozen=True, kw_only=True)
class Rescaled:
    """What calibration did to one layer: the deviation of its output, before and after."""

    layer: str
    before: float
    after: float


def calibrate(net: Net, batches: Sequence[Feeds]) -> list[Rescaled]:
    """Scales the weights of a net and fills its BatchNorm statistics; returns what was scaled.

    Layers that learn nothing (lr_mult 0), or whose output a BatchNorm normalises, keep their weights.
    While this runs, BatchNorm looks at the batch, whatever the phase or use_global_stats say.

    Args:
        net: The net; its weights must not be all zero.
        batches: Batches to run on, the first one for the weights, all of them for the statistics.

    Raises:
        NetError: A layer's output does not change with its input, or is not finite.
    """
    norms = [layer for layer in net.layers if isinstance(layer.module, BatchNorm)]
    with _looking_at_the_batch(norms), torch.no_grad():
        done = _scale_weights(net, batches[0])
        for blob in (blob for layer in norms for blob in layer.tensors):
            blob.zero_()
        executor = FusedExecutor(net)
        for feeds in batches if norms else ():
            executor.forward(feeds)
    return done


@contextmanager
def _looking_at_the_batch(norms: Sequence[NetLayer]) -> Iterator[None]:
    modules = [layer.module for layer in norms if isinstance(layer.module, BatchNorm)]
    before = [module.uses_stored for module in modules]
    for module in modules:
        module.uses_stored = False
    try:
        yield
    finally:
        for module, uses_stored in zip(modules, before, strict=True):
            module.uses_stored = uses_stored


def _scale_weights(net: Net, feeds: Feeds) -> list[Rescaled]:
    last_reader = {value: layer for layer in net.layers for value in layer.facts.node.bottoms}
    values: dict[Value, Tensor] = {}
    scaled: list[Rescaled] = []
    seen: set[int] = set()
    for layer in net.layers:
        node = layer.facts.node
        if layer.is_fed:
            values.update(
                zip(node.tops, (tensor.to(net.device) for tensor in feeds[layer.name]), strict=True)
            )
            continue
        bottoms = [values[value] for value in node.bottoms]
        if _is_to_scale(net, layer) and id(layer.tensors[0]) not in seen:
            seen.add(id(layer.tensors[0]))
            scaled.append(_scale(layer, bottoms))
        made = layer.module(*(bottom.clone() for bottom in bottoms))
        values.update(zip(node.tops, made if isinstance(made, tuple) else (made,), strict=False))
        for value in node.bottoms:
            if last_reader[value] is layer:
                values.pop(value, None)
    return scaled


def _is_to_scale(net: Net, layer: NetLayer) -> bool:
    readers = [reader for value in layer.facts.node.tops for reader in net.graph.readers(value)]
    is_normalised = any(reader.layer.type == "BatchNorm" for reader in readers)
    return layer.type in _WEIGHTED and layer.tensors[0].requires_grad and not is_normalised


def _scale(layer: NetLayer, bottoms: Sequence[Tensor]) -> Rescaled:
    weight = layer.tensors[0]
    before = deviation = _deviation(layer, bottoms)
    for _ in range(_ROUNDS):
        if abs(deviation - 1) < _CLOSE_ENOUGH:
            break
        weight.div_(deviation)
        deviation = _deviation(layer, bottoms)
    return Rescaled(layer=layer.name, before=before, after=deviation)


def _deviation(layer: NetLayer, bottoms: Sequence[Tensor]) -> float:
    made = layer.module(*(bottom.clone() for bottom in bottoms))
    deviation = float((made[0] if isinstance(made, tuple) else made).double().std())
    if not math.isfinite(deviation) or deviation == 0:
        raise NetError(
            f"its output has a standard deviation of {deviation:g}; calibration needs weights that are not"
            " all zero, and an input that changes",
            layer=layer.name,
        )
    return deviation
