"""Made-up batches of the size that a net was trained on, where its own BatchNorm layers tell that size.

A deploy net says nothing of mean and scale. Pixels of 0 to 255 for a net that was trained on values of 0
to 1 drive every activation to its bound, and rounding then looks like a mistake. The one rule to know:
the first BatchNorm's stored variance is that of what it saw in training, so the input is scaled until it
sees that again; nets without BatchNorm, and data layers, which say how they scale, keep what they get.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from caffeflow.engine.modules.batch_norm import BatchNorm
from caffeflow.engine.net import Net
from caffeflow.engine.synthetic import synthetic_feeds
from caffeflow.engine.training import Feeds
from caffeflow.proto.graph import Value


def typical_feeds(net: Net, *, seed: int) -> Feeds:
    """Returns tops for every layer of a net that is fed from outside; inputs are scaled as above."""
    feeds = synthetic_feeds(net, seed=seed)
    scale = _scale(net, feeds)
    return {
        layer.name: tuple(top * scale if layer.type == "Input" and top.dim() == 4 else top for top in tops)
        for layer in net.fed
        for tops in (feeds[layer.name],)
    }


def _scale(net: Net, feeds: Feeds) -> float:
    """Returns the factor on the input that gives the first BatchNorm the spread of its training."""
    seen = _first_normalised(net, feeds)
    if seen is None:
        return 1.0
    norm, x = seen
    _, stored = norm.stored()
    found = x.double().transpose(0, 1).flatten(1).var(dim=1)
    ratios = (stored.double() / found)[(stored > 0) & (found > 0)]
    factor = math.sqrt(float(ratios.median())) if ratios.numel() else 1.0
    return factor if math.isfinite(factor) and factor > 0 else 1.0


@torch.no_grad()
def _first_normalised(net: Net, feeds: Feeds) -> tuple[BatchNorm, Tensor] | None:
    """Returns the first BatchNorm that uses stored statistics, and its bottom."""
    values: dict[Value, Tensor] = {}
    for layer in net.layers:
        if layer.is_fed:
            values.update(zip(layer.facts.node.tops, feeds[layer.name], strict=True))
            continue
        bottoms = [values[value].to(net.device) for value in layer.facts.node.bottoms]
        if isinstance(layer.module, BatchNorm) and layer.module.uses_stored:
            return layer.module, bottoms[0]
        made = layer.module(*(bottom.clone() for bottom in bottoms))
        values.update(zip(layer.facts.node.tops, made if isinstance(made, tuple) else (made,), strict=False))
    return None
