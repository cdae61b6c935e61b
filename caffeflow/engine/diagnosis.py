"""Finds where numbers first go wrong: the first layer whose values are nan or infinite."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from caffeflow.engine.net import Net, NetLayer
from caffeflow.engine.stepwise import Direction, StepwiseExecutor
from caffeflow.engine.training import Feeds


class _Found(Exception):  # noqa: N818 - ends the walk through the layers; no error
    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def first_non_finite(net: Net, batches: Iterable[Feeds]) -> str | None:
    """Runs batches layer by layer and says where the first nan or infinity stands, or None.

    A layer's learned blobs are looked at before its tops.
    """
    executor = StepwiseExecutor(net, gradients=False)

    def look(layer: NetLayer, _direction: Direction, _seconds: float) -> None:
        for blob, tensor in zip(layer.facts.blobs, layer.tensors, strict=True):
            if not blob.trained and not getattr(layer.module, "uses_stored", True):
                continue  # statistics that only follow what the batches do
            _check(f"learned blob '{blob.name}' of layer '{layer.name}' ({layer.type})", tensor)
        for top in layer.facts.node.tops:
            _check(f"blob '{top.blob}' made by layer '{layer.name}' ({layer.type})", executor.data[top.blob])

    executor.observer = look
    try:
        for feeds in batches:
            executor.forward(feeds)
    except _Found as found:
        return found.what
    return None


def _check(what: str, tensor: Tensor) -> None:
    good = torch.isfinite(tensor)
    if bool(good.all()):
        return
    bad = tensor.numel() - int(good.sum())
    kinds = "nan" if bool(torch.isnan(tensor).any()) else "inf"
    finite = tensor.detach()[good]
    largest = f", the largest of the others is {float(finite.abs().max()):g}" if finite.numel() else ""
    raise _Found(f"{what}: {bad} of {tensor.numel()} values are {kinds}{largest}")
