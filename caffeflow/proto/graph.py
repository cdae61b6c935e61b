"""The graph of a net in single-assignment form.

A prototxt reuses names: an in-place layer writes the blob that it reads. Here each writing makes a
new version of the name, so every value has one producer and executors need no special case. What
Caffe's split layers are for, one value read by several layers, needs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from caffeflow.errors import NetError, suggestion
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter, Phase


@dataclass(frozen=True, slots=True)
class Value:
    """What one layer puts under one blob name; later in-place layers make later versions."""

    blob: str
    version: int

    def __str__(self) -> str:
        return self.blob if self.version == 0 else f"{self.blob}#{self.version}"


@dataclass(frozen=True)
class Node:
    """A layer with the values that it reads and makes."""

    index: int
    layer: LayerParameter
    bottoms: tuple[Value, ...]
    tops: tuple[Value, ...]

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.layer.name

    @property
    def is_in_place(self) -> bool:
        """Whether the layer writes a blob that it reads."""
        return any(top.version > 0 for top in self.tops)


@dataclass(frozen=True)
class Graph:
    """The layers of a filtered net in file order, linked by values.

    Attributes:
        name: The net's name.
        phase: `TRAIN` or `TEST`: the net's, for layers that do not set their own.
        nodes: The layers; each reads only values of earlier ones.
        outputs: The values that nothing reads, in byte order of their names: the order in which
            Caffe numbers the outputs it prints.
    """

    name: str
    phase: str
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]
    _newest: dict[str, Value] = field(repr=False)

    def last(self, blob: str) -> Value:
        """Returns the newest version of a blob.

        Raises:
            NetError: The net has no such blob.
        """
        if blob not in self._newest:
            raise NetError(f"the net has no blob '{blob}'{suggestion(blob, self._newest)}")
        return self._newest[blob]

    def readers(self, value: Value) -> Iterator[Node]:
        """Yields the layers that read a value, in file order."""
        return (node for node in self.nodes if value in node.bottoms)

    def phase_of(self, node: Node) -> str:
        """Returns the phase that a layer runs in: its own if it sets one, else the net's."""
        return Phase.Name(node.layer.phase) if node.layer.HasField("phase") else self.phase


def build_graph(net: NetParameter) -> Graph:
    """Links the layers of a filtered net.

    Raises:
        NetError: A bottom that no earlier layer makes, a top made twice without being in place, or an
            in-place layer over a blob that an earlier layer reads as well.
    """
    newest: dict[str, Value] = {}
    unread: dict[Value, None] = {}
    readers: dict[Value, str] = {}
    nodes = []
    for index, layer in enumerate(net.layer):
        _check_propagate_down(layer)
        bottoms = tuple(_bottom(newest, net, layer, position) for position in range(len(layer.bottom)))
        tops = tuple(_top(newest, layer, position) for position in range(len(layer.top)))
        _check_in_place(layer, tops, readers)
        for bottom in bottoms:
            unread.pop(bottom, None)
            readers.setdefault(bottom, layer.name)
        for top in tops:
            newest[top.blob] = top
            unread[top] = None
        nodes.append(Node(index=index, layer=layer, bottoms=bottoms, tops=tops))
    outputs = sorted(unread, key=lambda value: value.blob.encode())
    return Graph(
        name=net.name,
        phase=Phase.Name(net.state.phase),
        nodes=tuple(nodes),
        outputs=tuple(outputs),
        _newest=newest,
    )


def _bottom(newest: dict[str, Value], net: NetParameter, layer: LayerParameter, position: int) -> Value:
    blob = layer.bottom[position]
    if blob in newest:
        return newest[blob]
    makers = [other.name for other in net.layer if blob in other.top]
    if makers:
        hint = f"; layer '{makers[0]}' makes it, but stands later in the file"
    else:
        hint = suggestion(blob, newest) or "; no layer of this phase makes it"
    raise NetError(f"unknown bottom blob '{blob}' (bottom index {position}){hint}", layer=layer.name)


def _top(newest: dict[str, Value], layer: LayerParameter, position: int) -> Value:
    blob = layer.top[position]
    old = newest.get(blob)
    if old is None:
        return Value(blob, 0)
    # Caffe: a top is in place only over the bottom of the same index (net.cpp AppendTop).
    if position < len(layer.bottom) and layer.bottom[position] == blob:
        return Value(blob, old.version + 1)
    raise NetError(
        f"top blob '{blob}' is made by an earlier layer already; rename it, or list it as bottom"
        f" {position} to work in place",
        layer=layer.name,
    )


def _check_in_place(layer: LayerParameter, tops: tuple[Value, ...], readers: dict[Value, str]) -> None:
    # Caffe: its split layers rename the bottom, which is then in place no more, and building the net
    # dies with "produced by multiple sources" (insert_splits.cpp, net.cpp AppendTop).
    for top in tops:
        reader = readers.get(Value(top.blob, top.version - 1))
        if reader is not None:
            raise NetError(
                f"works in place on blob '{top.blob}', which the earlier layer '{reader}' reads as well;"
                " Caffe refuses that: give this layer a top of its own name",
                layer=layer.name,
            )


def _check_propagate_down(layer: LayerParameter) -> None:
    if layer.propagate_down and len(layer.propagate_down) != len(layer.bottom):
        raise NetError(
            f"{len(layer.propagate_down)} propagate_down for {len(layer.bottom)} bottoms; expected none or"
            " one for each",
            layer=layer.name,
        )
