"""Layers that stay as they are: no learning rate, and no gradient below.

Caffe goes back through a layer if its bottom, or one of its own blobs, learns (`net.cpp` Init). So where
every blob below has lr_mult 0, nothing is computed there. A BatchNorm without `param` counts as learning
until it is written, although its statistics never take a gradient; hence every blob is written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from caffeflow.errors import NetError, suggestion
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import Graph


@dataclass(frozen=True)
class Frozen:
    """What was frozen.

    Attributes:
        layers: The layers with learned blobs that learn no more, in file order.
        batch_norms: Those among them whose statistics still follow the batches.
    """

    layers: tuple[str, ...]
    batch_norms: tuple[str, ...]


def layers_up_to(graph: Graph, until: str) -> set[str]:
    """Returns a layer and all that it is computed from.

    Raises:
        NetError: There is no such layer.
    """
    last = next((node for node in graph.nodes if node.name == until), None)
    if last is None:
        names = [node.name for node in graph.nodes]
        raise NetError(f"has no layer '{until}' (--freeze){suggestion(until, names)}")
    makers = {top: node for node in graph.nodes for top in node.tops}
    waiting, found = [last], {last.name}
    while waiting:
        for bottom in waiting.pop().bottoms:
            node = makers[bottom]
            if node.name not in found:
                found.add(node.name)
                waiting.append(node)
    return found


def freeze(
    net: NetParameter, names: set[str], counts: Mapping[str, int], *, keep_statistics: bool = False
) -> Frozen:
    """Gives layers lr_mult 0 for every blob.

    Args:
        net: The net with the layers of all phases; changed.
        names: The layers.
        counts: Layer name to how many learned blobs it has.
        keep_statistics: Let frozen BatchNorms use their stored statistics in training too.
    """
    frozen: dict[str, None] = {}
    moving: dict[str, None] = {}
    for layer in net.layer:
        count = counts.get(layer.name, 0)
        if layer.name not in names or not count:
            continue
        frozen[layer.name] = None
        while len(layer.param) < count:
            layer.param.add()
        for spec in layer.param:
            spec.lr_mult = 0
            spec.decay_mult = 0
        if layer.type == "BatchNorm":
            if keep_statistics:
                layer.batch_norm_param.use_global_stats = True
            if not layer.batch_norm_param.use_global_stats:
                moving[layer.name] = None
    return Frozen(tuple(frozen), tuple(moving))
