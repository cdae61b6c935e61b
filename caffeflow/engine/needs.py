"""Which layers of a net run backward, and which of their bottoms get a gradient: Caffe's two passes.

The one rule to know: a layer runs if something below it learns, some loss depends on it, and some reader of
its tops hands a gradient down (net.cpp Init). `force_backward` then overrules all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from caffeflow.proto.graph import Value

if TYPE_CHECKING:
    from caffeflow.engine.net import Net, NetLayer


def needed_gradients(layers: Sequence[NetLayer], *, force: bool) -> dict[int, tuple[bool, ...]]:
    """Returns, for each layer that runs backward, which of its bottoms get a diff."""
    if force:
        running = [layer.facts.node for layer in layers if not layer.is_fed]
        return {node.index: (True,) * len(node.bottoms) for node in running}
    flags = _asked_for(layers)
    needs: dict[int, tuple[bool, ...]] = {}
    under_loss: set[Value] = set()
    read: set[Value] = set()
    handed_down: set[Value] = set()
    for layer in reversed(layers):
        node = layer.facts.node
        contributes = any(layer.loss_weights) or not under_loss.isdisjoint(node.tops)
        skipped = _has_all_tops(layer) and all(
            top in read and top not in handed_down and not _is_written_loss(layer, place)
            for place, top in enumerate(node.tops)
        )
        asked, learns = flags[node.index]
        if not contributes or (learns and skipped):
            asked = (False,) * len(asked)
        elif learns:
            needs[node.index] = asked
        read.update(node.bottoms)
        under_loss.update(node.bottoms if contributes else ())
        handed_down.update(bottom for bottom, flag in zip(node.bottoms, asked, strict=True) if flag)
    return needs


def is_overruled(net: Net, layer: NetLayer, place: int) -> bool:
    """Whether the gradient that a loss begins with is lost, because another layer reads the loss.

    Caffe: a split keeps apart only the weight that the file gives; of a loss without one the readers write
    into the diff that held it (insert_splits.cpp), or the loss does not run backward when they do not.
    """
    tops = layer.facts.node.tops
    return place < len(tops) and not _is_written_loss(layer, place) and any(net.graph.readers(tops[place]))


def _asked_for(layers: Sequence[NetLayer]) -> dict[int, tuple[tuple[bool, ...], bool]]:
    """Returns by layer which bottoms ask for a diff, seen from below, and whether something learns there."""
    learning: set[Value] = set()
    asked = {}
    for layer in layers:
        node = layer.facts.node
        below = [value in learning for value in node.bottoms]
        learns = not layer.is_fed and (any(below) or _asks_to_learn(layer))
        if learns:
            learning.update(node.tops)
        # Caffe: what the file says counts also where nothing learns below (net.cpp AppendBottom).
        asked[node.index] = tuple(node.layer.propagate_down) or tuple(below), learns
    return asked


def _asks_to_learn(layer: NetLayer) -> bool:
    """Whether some blob of a layer is not frozen in the file.

    Caffe: BatchNorm's statistics count unless the file freezes them; that the layer itself sees to it that
    they do not learn is not looked at here (net.cpp Init).
    """
    written = layer.facts.node.layer.param
    unwritten = len(layer.facts.blobs) > len(written)
    return unwritten or any(spec.lr_mult != 0 for spec in written)


def _has_all_tops(layer: NetLayer) -> bool:
    """Whether no top is one that Caffe makes by itself, and that nothing can read."""
    return len(layer.facts.tops) == len(layer.facts.node.tops)


def _is_written_loss(layer: NetLayer, place: int) -> bool:
    written = layer.facts.node.layer.loss_weight
    return place < len(written) and written[place] != 0
