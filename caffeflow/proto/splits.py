"""The Split layers that Caffe puts where several layers read one value (`insert_splits.cpp`).

The engine needs none, so a net has them only where people see them: in the log, with `debug_info`, which
shows the diff of each reader by itself, and for a loss that another layer reads, because the split's first
top is then one of the net's outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.graph import Graph, Node, Value, build_graph


@dataclass
class _Use:
    """Who uses a value.

    Attributes:
        readers: How many bottoms are it.
        weight: What it counts in the loss, if the file says so; this use is a top of the split by itself.
        given: How many of the split's tops have found their reader.
    """

    readers: int = 0
    weight: float = 0.0
    given: int = 0

    @property
    def count(self) -> int:
        """How many tops its split has; below 2 there is none."""
        return self.readers + (self.weight != 0)


@dataclass(frozen=True)
class Placed:
    """A layer of a net that has Caffe's splits.

    Attributes:
        layer: The layer, with the names that its bottoms have between splits.
        node: The layer that it is, or the one whose top it splits.
        split_top: Which top of `node` it splits; None if it is no split.
    """

    layer: LayerParameter
    node: Node
    split_top: int | None = None


def insert_splits(net: NetParameter, *, only_of_losses: bool = False) -> NetParameter:
    """Returns a copy of a filtered net with Caffe's Split layers.

    Args:
        net: The net.
        only_of_losses: Only those of tops that the file gives a weight in the loss.

    Raises:
        NetError: The net is no graph.
    """
    made = NetParameter()
    made.CopyFrom(net)
    made.ClearField("layer")
    placed = place_splits(build_graph(net), only_of_losses=only_of_losses)
    made.layer.extend(one.layer for one in placed)
    return made


def place_splits(graph: Graph, *, only_of_losses: bool = False) -> Iterator[Placed]:
    """Yields the layers of a net, and after each the splits of what it makes."""
    uses = {value: use for value, use in _uses(graph).items() if use.weight or not only_of_losses}
    makers = {top: (node, place) for node in graph.nodes for place, top in enumerate(node.tops)}
    for node in graph.nodes:
        layer = LayerParameter()
        layer.CopyFrom(node.layer)
        for place, bottom in enumerate(node.bottoms):
            use = uses.get(bottom)
            if use is not None and use.count > 1:
                layer.bottom[place] = f"{_split_name(*makers[bottom])}_{use.given}"
                use.given += 1
        split = [place for place, top in enumerate(node.tops) if top in uses and uses[top].count > 1]
        if any(uses[node.tops[place]].weight for place in split):
            # Caffe: all of the maker's weights go, those of its other tops too.
            layer.ClearField("loss_weight")
        yield Placed(layer, node)
        for place in split:
            yield Placed(_split(node, place, uses[node.tops[place]]), node, place)


def _uses(graph: Graph) -> dict[Value, _Use]:
    uses = {top: _Use() for node in graph.nodes for top in node.tops}
    for node in graph.nodes:
        for bottom in node.bottoms:
            uses[bottom].readers += 1
        for top, weight in zip(node.tops, node.layer.loss_weight, strict=False):
            uses[top].weight = weight
            uses[top].given = int(weight != 0)
    return uses


def _split(node: Node, place: int, use: _Use) -> LayerParameter:
    name = _split_name(node, place)
    split = LayerParameter(name=name, type="Split", bottom=[node.tops[place].blob])
    split.top.extend(f"{name}_{number}" for number in range(use.count))
    if use.weight:
        split.loss_weight.extend([use.weight] + [0.0] * (use.count - 1))
    return split


def _split_name(node: Node, place: int) -> str:
    return f"{node.tops[place].blob}_{node.name}_{place}_split"
