"""Smaller nets that still show a failure: whole branches go, and what is above a layer becomes an input.

The one rule to know: nets are tried in rounds, all of a round at once, because starting Caffe costs more than
running a net in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.graph import Graph, build_graph
from caffeflow.proto.net import filter_net, net_state
from tests.support.random_nets.drawing import RandomNet

Fails = Callable[[Sequence[RandomNet]], list[bool]]
"""Whether each of some nets still shows the failure."""

Values = Mapping[tuple[str, int], np.ndarray]
"""(layer, top's number) to what was there when the net failed."""

ROUNDS: Final = 8


def shrink(drawn: RandomNet, values: Values, fails: Fails, *, rounds: int = ROUNDS) -> RandomNet:
    """Returns the smallest net found that still fails; the net itself where none smaller does."""
    smallest = drawn
    for _ in range(rounds):
        candidates = sorted(_smaller(smallest, values), key=size)
        candidates = [net.renamed(f"{drawn.name}-{number}") for number, net in enumerate(candidates)]
        still = next((net for net, failed in zip(candidates, fails(candidates), strict=True) if failed), None)
        if still is None:
            break
        smallest = still
    return smallest.renamed(drawn.name)


def size(drawn: RandomNet) -> tuple[int, int]:
    """Returns what is to become small: the number of layers that compute, then that of all."""
    computing = [layer for layer in drawn.net.layer if layer.type != "Input"]
    return len(computing), len(drawn.net.layer)


def _smaller(drawn: RandomNet, values: Values) -> Iterator[RandomNet]:
    graph = build_graph(filter_net(drawn.net, net_state(drawn.phase)))
    for node in graph.nodes:
        yield from _keeping(drawn, _all_but(graph, _downstream(graph, node.index)))
        yield from _cut_above(drawn, graph, node.index, values)


def _downstream(graph: Graph, index: int) -> set[int]:
    """Returns a layer and all that depend on it."""
    gone: set[int] = set()
    lost = set(graph.nodes[index].tops)
    for node in graph.nodes[index:]:
        if node.index == index or lost.intersection(node.bottoms):
            gone.add(node.index)
            lost.update(node.tops)
    return gone


def _upstream_of_nothing_else(graph: Graph, index: int) -> set[int]:
    """Returns the layers that lead to a layer and nowhere else."""
    gone = {index}
    for node in reversed(graph.nodes[:index]):
        readers = {reader.index for top in node.tops for reader in graph.readers(top)}
        if readers and readers <= gone:
            gone.add(node.index)
    return gone - {index}


def _all_but(graph: Graph, gone: set[int]) -> dict[int, LayerParameter]:
    return {node.index: node.layer for node in graph.nodes if node.index not in gone}


def _cut_above(drawn: RandomNet, graph: Graph, index: int, values: Values) -> Iterator[RandomNet]:
    """Yields the net with an input in a layer's place, holding what the layer made."""
    node = graph.nodes[index]
    tops = {place: values.get((node.name, place)) for place in range(len(node.tops))}
    known = [value for value in tops.values() if value is not None]
    if node.layer.type == "Input" or not known or len(known) < len(tops):
        return
    layers = _all_but(graph, _upstream_of_nothing_else(graph, index))
    read = {top: value for top, value in zip(node.tops, known, strict=True) if any(graph.readers(top))}
    made = LayerParameter(name=node.name, type="Input", top=[top.blob for top in read])
    for value in read.values():
        made.input_param.shape.add().dim.extend(np.shape(value))
    layers[index] = made
    feeds = drawn.feeds | {top.blob: value for top, value in read.items()}
    yield from _keeping(replace(drawn, feeds=feeds), layers)


def _keeping(drawn: RandomNet, layers: Mapping[int, LayerParameter]) -> Iterator[RandomNet]:
    """Yields the net of these layers, if it is smaller and there is something in it to run."""
    kept = [layers[index] for index in sorted(layers) if layers[index].top or layers[index].type != "Input"]
    net = NetParameter(name=drawn.net.name, layer=kept)
    _part_from_owners(net, drawn.net)
    _forget_unread_tops(net)
    if drawn.net.force_backward:
        net.force_backward = True
    inputs = {top for layer in net.layer if layer.type == "Input" for top in layer.top}
    feeds = {blob: values for blob, values in drawn.feeds.items() if blob in inputs}
    made = replace(drawn, net=net, feeds=feeds)
    if size(made)[0] and size(made) < size(drawn):
        yield made


def _part_from_owners(net: NetParameter, before: NetParameter) -> None:
    """Lets layers whose learned blob's owner is gone have one each, as the next may have another shape."""
    owners: dict[str, str] = {}
    for layer in before.layer:
        for spec in layer.param:
            owners.setdefault(spec.name, layer.name)
    kept = {layer.name for layer in net.layer if layer.type != "Input"}
    for layer in net.layer:
        for spec in layer.param:
            if spec.name and owners[spec.name] not in kept:
                spec.ClearField("name")


def _forget_unread_tops(net: NetParameter) -> None:
    """Leaves inputs that stand for a layer with several tops those that are still read."""
    read = {bottom for layer in net.layer for bottom in layer.bottom}
    for layer in net.layer:
        if layer.type == "Input" and len(layer.top) > 1:
            kept = [place for place, top in enumerate(layer.top) if top in read] or [0]
            shapes = [layer.input_param.shape[place] for place in kept]
            made = LayerParameter(name=layer.name, type="Input", top=[layer.top[place] for place in kept])
            made.input_param.shape.extend(shapes)
            layer.CopyFrom(made)
