"""Which values of a net an ONNX graph has, what they are called, and which of their sizes are the batch's.

The one rule to know: a blob's name goes to what the blob holds in the end, as Caffe shows it after a
forward; what it held before in-place layers wrote on is `name#0`, `name#1`. An input keeps its own name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from caffeflow.errors import NetError, UnsupportedLayerError
from caffeflow.layers.inference import NetShapes, infer
from caffeflow.layers.spec import Shape
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import Graph, Node, Value, build_graph

INPUT: Final = "Input"
OPEN: Final = -1
"""A size that is the batch's, or follows from it, where the batch size is left open."""

_PASSED_ON: Final = ("Split", "Dropout")


@dataclass(frozen=True)
class Values:
    """The values of a net by their names in ONNX.

    Attributes:
        roots: For each value, the one that it is only another name of, or itself.
        names: The name of each root.
    """

    roots: Mapping[Value, Value]
    names: Mapping[Value, str]

    def name(self, value: Value) -> str:
        """Returns what a value is called."""
        return self.names[self.roots[value]]


def name_values(graph: Graph) -> Values:
    """Names all values; those of layers that do nothing in TEST are names of what they read."""
    roots: dict[Value, Value] = {}
    inputs: set[Value] = set()
    for node in graph.nodes:
        for top in node.tops:
            roots[top] = roots[node.bottoms[0]] if node.layer.type in _PASSED_ON else top
        if node.layer.type == INPUT:
            inputs.update(node.tops)
    newest = {blob: roots[graph.last(blob)] for blob in {value.blob for value in roots}}
    names = {}
    for root in dict.fromkeys(roots.values()):
        starts_as_input = Value(root.blob, 0) in inputs
        has_the_name = root in inputs if starts_as_input else newest[root.blob] == root
        names[root] = root.blob if has_the_name else f"{root.blob}#{root.version}"
    return Values(roots=roots, names=names)


def needed_nodes(graph: Graph, outputs: Iterable[Value]) -> list[Node]:
    """Returns the layers that have a part in some values, in file order."""
    wanted = set(outputs)
    found = []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.tops):
            wanted.update(node.bottoms)
            found.append(node)
    return found[::-1]


def open_sizes(net: NetParameter, shapes: NetShapes) -> dict[Value, Shape]:
    """Returns the shape of every value, with OPEN where a size changes with the batch size.

    Raises:
        NetError: The net does not work with another batch size.
    """
    larger = NetParameter()
    larger.CopyFrom(net)
    _enlarge_batch(larger)
    graph = build_graph(larger)
    try:
        other = infer(graph)
    except NetError as error:
        raise _fixed(error.what, error.layer) from error
    for before, after in zip(shapes.layers, other.layers, strict=True):
        if [blob.shape for blob in before.blobs] != [blob.shape for blob in after.blobs]:
            raise _fixed("its learned blobs change with it", before.name)
    return {
        value: tuple(
            size if size == changed else OPEN for size, changed in zip(shape, other.tops[value], strict=True)
        )
        for value, shape in shapes.tops.items()
    }


def _enlarge_batch(net: NetParameter) -> None:
    """Adds an item to every input whose first size is that of the first input."""
    shapes = [shape for layer in net.layer if layer.type == INPUT for shape in layer.input_param.shape]
    batch = shapes[0].dim[0] if shapes and shapes[0].dim else None
    for shape in shapes:
        if shape.dim and shape.dim[0] == batch:
            shape.dim[0] += 1


def _fixed(what: str, layer: str | None) -> NetError:
    return NetError(
        f"the net does not work with another batch size ({what}); export it without --dynamic-batch",
        layer=layer,
    )


def check_types(nodes: Iterable[Node], known: Collection[str], refused: Mapping[str, str]) -> None:
    """Raises an UnsupportedLayerError for the first layer that cannot be written."""
    for node in nodes:
        type_ = node.layer.type
        if type_ in refused:
            raise UnsupportedLayerError(f"type '{type_}' {refused[type_]}", layer=node.name)
        if type_ not in known:
            raise AssertionError(f"layer type '{type_}' has neither an ONNX writer nor a reason against one")
