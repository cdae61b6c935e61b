"""A net as boxes and arrows: which layers share a box, and what is written in it.

The one rule to know: a layer that only rescales or bends what its one predecessor made (BatchNorm,
Scale, ReLU, Dropout, …) joins the predecessor's box, if nothing else reads the value in between. So a
residual net of 200 layers has some 70 boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from caffeflow.layers.convolution import ConvolutionParams
from caffeflow.layers.inference import LayerFacts, NetShapes
from caffeflow.layers.pooling import PoolingParams
from caffeflow.layers.spec import Shape
from caffeflow.proto.caffe_pb2 import EltwiseParameter
from caffeflow.proto.graph import Graph, Node, Value

Kind = Literal["data", "conv", "depthwise", "inner product", "pooling", "join", "output", "other"]

_TIMES: Final = "\N{MULTIPLICATION SIGN}"
_JOINS_ITS_PREDECESSOR: Final = frozenset(
    {
        "AbsVal", "BNLL", "BatchNorm", "Bias", "Clip", "Dropout", "ELU", "Exp", "LRN", "Log", "PReLU",
        "Power", "ReLU", "ReLU6", "Scale", "Sigmoid", "Swish", "TanH", "Threshold",
    }
)  # fmt: skip
_KINDS: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("Concat", "Eltwise", "Slice", "Split", "Crop"), "join"),
    **dict.fromkeys(("InnerProduct", "Embed"), "inner product"),
    **dict.fromkeys(("Softmax", "Accuracy", "ArgMax", "Silence", "DetectionOutput"), "output"),
    "Pooling": "pooling",
    "SPP": "pooling",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NetBox:
    """One or more layers drawn as one."""

    name: str  # of the first layer
    kind: Kind
    lines: tuple[str, ...]  # what it does, the layers that joined it, labels it reads, the output's shape
    sources: tuple[int, ...]  # the boxes that it reads, by place, each once


def boxes_of(graph: Graph, shapes: NetShapes | None) -> list[NetBox]:
    """Returns the boxes of a net, each after those that it reads.

    Args:
        graph: The net.
        shapes: What is known of its layers; None draws a net of layer types that have no shapes here.
    """
    facts = {layer.node.index: layer for layer in shapes.layers} if shapes else {}
    groups = _groups(graph)
    place = {node.index: number for number, group in enumerate(groups) for node in group}
    maker = {top: node for node in graph.nodes for top in node.tops}
    return [_box(group, place, maker, facts) for group in groups]


def _groups(graph: Graph) -> list[list[Node]]:
    readers: dict[Value, int] = {}
    for reader in graph.nodes:
        for bottom in reader.bottoms:
            readers[bottom] = readers.get(bottom, 0) + 1
    group_of: dict[Value, list[Node]] = {}
    groups: list[list[Node]] = []
    for node in graph.nodes:
        group: list[Node] | None = None
        if len(node.bottoms) == 1 and readers[node.bottoms[0]] == 1:
            group = group_of.get(node.bottoms[0])
        if group is None or node.layer.type not in _JOINS_ITS_PREDECESSOR or _is_source(group[0]):
            group = []
            groups.append(group)
        group.append(node)
        if len(node.tops) == 1:
            group_of[node.tops[0]] = group
    return groups


def _is_source(node: Node) -> bool:
    return not node.bottoms


def _box(
    group: list[Node], place: Mapping[int, int], maker: Mapping[Value, Node], facts: Mapping[int, LayerFacts]
) -> NetBox:
    first, last = group[0], group[-1]
    sources: dict[int, None] = {}
    labels = []
    for bottom in first.bottoms:
        node = maker[bottom]
        # Labels run past the whole net to losses and accuracies: said in words, not drawn as an arrow.
        if _is_source(node) and node.tops.index(bottom) > 0:
            labels.append(f"reads {bottom.blob}")
        else:
            sources[place[node.index]] = None
    own = facts.get(first.index)
    lines = (_describe(first, own), _joined(group), *labels, _shape(facts.get(last.index)))
    return NetBox(
        name=first.layer.name,
        kind=_kind(first, own),
        lines=tuple(line for line in lines if line),
        sources=tuple(sources),
    )


def _joined(group: list[Node]) -> str:
    return " + ".join(node.layer.type for node in group[1:])


def _shape(facts: LayerFacts | None) -> str:
    tops = facts.tops if facts else ()
    return "  ".join(_item(top) for top in tops if len(top) > 1)


def _item(shape: Shape) -> str:
    return _TIMES.join(map(str, shape[1:]))


def _kind(node: Node, facts: LayerFacts | None) -> Kind:
    type_ = node.layer.type
    if _is_source(node):
        return "data"
    if "Loss" in type_:
        return "output"
    if "Depthwise" in type_ or _is_depthwise(facts):
        return "depthwise"
    if "onvolution" in type_:
        return "conv"
    return _KINDS.get(type_, "other")


def _is_depthwise(facts: LayerFacts | None) -> bool:
    return (
        facts is not None
        and isinstance(facts.params, ConvolutionParams)
        and facts.params.groups(facts.bottoms[0]) == facts.params.channels(facts.bottoms[0]) > 1
    )


def _describe(node: Node, facts: LayerFacts | None) -> str:
    describe = _DESCRIPTIONS.get(node.layer.type)
    if facts is not None and isinstance(facts.params, ConvolutionParams):
        return _convolution(facts, facts.params)
    if facts is not None and isinstance(facts.params, PoolingParams):
        return _pooling(facts, facts.params)
    return describe(node) if describe else node.layer.type


def _convolution(facts: LayerFacts, params: ConvolutionParams) -> str:
    filters = params.filters(facts.bottoms[0])
    groups = params.groups(facts.bottoms[0])
    words = [f"{_word(facts)} {_extent(filters.kernel)}"]
    if set(filters.stride) != {1}:
        words.append(f"stride {_shortest(filters.stride)}")
    if set(filters.dilation) != {1}:
        words.append(f"dilation {_shortest(filters.dilation)}")
    if groups > 1 and not _is_depthwise(facts):
        words.append(f"{groups} groups")
    return ", ".join(words)


def _word(facts: LayerFacts) -> str:
    """Returns what a convolution is called in a box."""
    if _is_depthwise(facts):
        return "depthwise"
    return "deconv" if facts.spec.type == "Deconvolution" else "conv"


def _pooling(facts: LayerFacts, params: PoolingParams) -> str:
    method = {"MAX": "max", "AVE": "average", "STOCHASTIC": "stochastic"}[params.method]
    if params.kernel is None:
        return f"{method} pooling of the whole plane"
    stride = "" if set(params.stride) == {1} else f", stride {_shortest(params.stride)}"
    return f"{method} pooling {_extent(params.window(facts.bottoms[0]))}{stride}"


def _extent(sizes: Shape) -> str:
    """Returns the sizes of a window, such as 3 by 3."""
    return _TIMES.join(map(str, sizes))


def _shortest(sizes: Shape) -> str:
    """Returns one number where all sizes are the same."""
    return str(sizes[0]) if len(set(sizes)) == 1 else _extent(sizes)


def _eltwise(node: Node) -> str:
    names = {EltwiseParameter.SUM: "sum", EltwiseParameter.PROD: "product", EltwiseParameter.MAX: "maximum"}
    return names[node.layer.eltwise_param.operation]


_DESCRIPTIONS: Final[Mapping[str, Callable[[Node], str]]] = {
    "Eltwise": _eltwise,
    "InnerProduct": lambda node: f"inner product, {node.layer.inner_product_param.num_output} outputs",
    "SoftmaxWithLoss": lambda _: "softmax and its loss",
}
