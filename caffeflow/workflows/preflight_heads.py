"""Preflight of heads: each convolution in front of a MultiBoxLoss must fit the PriorBox of its branch.

Shape inference finds that the sums do not fit; here the branch is told that is to blame, and what its
num_output must be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from caffeflow.errors import NetError
from caffeflow.layers.prior_box import PriorBoxParams
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.graph import Node, Value, build_graph
from caffeflow.proto.net import NetRole
from caffeflow.workflows.preflight_findings import Finding, place_of

# What a branch of a head may go through behind its convolution.
_PASSING: Final = frozenset(
    {"BatchNorm", "Flatten", "Permute", "Power", "ReLU", "ReLU6", "Reshape", "Scale", "Sigmoid", "Softmax"}
)
_READERS: Final = ("MultiBoxLoss", "DetectionOutput")


def check_heads(roles: Sequence[NetRole]) -> Iterator[Finding]:
    """Yields each head that does not fit its priors."""
    for role in roles:
        try:
            graph = build_graph(role.net)
        except NetError:
            continue  # whoever builds the net says so, with file and line
        makers = {top: node for node in graph.nodes for top in node.tops}
        for node in graph.nodes:
            if node.layer.type in _READERS and len(node.bottoms) >= 3:
                yield from _check_reader(role, makers, node)


def _check_reader(role: NetRole, makers: dict[Value, Node], reader: Node) -> Iterator[Finding]:
    is_loss = reader.layer.type == "MultiBoxLoss"
    param = reader.layer.multibox_loss_param if is_loss else reader.layer.detection_output_param
    loc, conf, priors = (_branches(makers, value) for value in reader.bottoms[:3])
    if not len(loc) == len(conf) == len(priors):
        yield Finding(
            where=place_of(role, reader.layer),
            what=f"has {len(loc)} branches of loc, {len(conf)} of conf and {len(priors)} of priors; each map"
            " needs one of each, joined in the same order",
        )
        return
    loc_values = 4 if param.share_location else 4 * param.num_classes
    for branch_loc, branch_conf, prior in zip(loc, conf, priors, strict=True):
        if prior is None or prior.type != "PriorBox":
            continue
        try:
            boxes = PriorBoxParams.read(prior).count
        except NetError:
            continue  # likewise
        for layer, values, words in (
            (branch_loc, loc_values, f"{loc_values} values a box"),
            (branch_conf, param.num_classes, f"num_classes is {param.num_classes} in '{reader.name}'"),
        ):
            if layer is None or layer.convolution_param.num_output == boxes * values:
                continue
            yield Finding(
                where=place_of(role, layer),
                what=f"num_output is {layer.convolution_param.num_output}, but '{prior.name}' makes {boxes}"
                f" boxes at each place and {words}: it must be {boxes * values}; correct it, or the sizes and"
                " ratios of the PriorBox",
            )


def _branches(makers: dict[Value, Node], value: Value) -> list[LayerParameter | None]:
    """Returns the convolution or PriorBox that each part of a joined blob comes from; None: another kind."""
    node = makers[value]
    while node.layer.type in _PASSING:
        node = makers[node.bottoms[0]]
    parts = node.bottoms if node.layer.type == "Concat" else (value,)
    return [_source(makers, part) for part in parts]


def _source(makers: dict[Value, Node], value: Value) -> LayerParameter | None:
    node = makers[value]
    while node.layer.type in _PASSING:
        node = makers[node.bottoms[0]]
    return node.layer if node.layer.type in ("Convolution", "PriorBox") else None
