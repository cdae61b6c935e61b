"""Which Scale becomes part of the BatchNorm before it: ONNX's BatchNormalization has factor and bias itself.

Compilers know the one operator for the pair, and fold it into a convolution. The arithmetic stays as it is;
folding into weights is `caffeflow weights fold-bn`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from caffeflow.layers.inference import LayerFacts
from caffeflow.layers.scale_bias import ScaleParams
from caffeflow.proto.graph import Graph, Value


def scales_to_merge(
    graph: Graph, parts: Sequence[LayerFacts], outputs: Collection[Value]
) -> Mapping[Value, LayerFacts]:
    """Returns the Scale of each BatchNorm that has one of its own, by the value between them."""
    found = {}
    by_index = {facts.node.index: facts for facts in parts}
    for facts in parts:
        if facts.spec.type != "BatchNorm" or not facts.params.uses_stored(graph.phase_of(facts.node)):
            continue
        (value,) = facts.node.tops
        readers = [by_index.get(node.index) for node in graph.readers(value)]
        scale = readers[0] if len(readers) == 1 and value not in outputs else None
        if scale is not None and _is_by_channel(scale):
            found[value] = scale
    return found


def _is_by_channel(facts: LayerFacts) -> bool:
    """Whether a layer is a Scale with one learned factor a channel."""
    if facts.spec.type != "Scale" or len(facts.bottoms) != 1:
        return False
    params: ScaleParams = facts.params
    return params.placed(facts.bottoms) == (1, facts.bottoms[0][1:2])
