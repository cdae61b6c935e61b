"""The lines that Caffe logs while it builds a net: layers, shapes, memory, what runs backward."""

from __future__ import annotations

import math
from collections.abc import Iterator

from caffeflow.engine.lines import LogLine, number
from caffeflow.engine.net import Net, NetLayer
from caffeflow.engine.stepwise import needed_gradients
from caffeflow.proto.matching import describe
from caffeflow.proto.net import NetRole
from caffeflow.proto.text import format_message


def of_net(role: NetRole, net: Net) -> Iterator[LogLine]:
    """Yields what a solver's log says about one of its nets."""
    if role.label.startswith("test net"):
        number_of = role.label.removeprefix("test net ")
        made = f"Creating test net ({number_of}) specified by net file: {role.net_file.path}"
    else:
        made = f"Creating training net from net file: {role.net_file.path}"
    yield LogLine("solver.cpp:87", made)
    yield from of_net_alone(role, net)


def of_net_alone(role: NetRole, net: Net) -> Iterator[LogLine]:
    """Yields what is said about any net, as `caffe test` and `caffe time` log it."""
    yield LogLine("net.cpp:53", f"Initializing net from parameters: \n{format_message(role.net)}")
    values = 0
    for layer in net.layers:
        values += sum(math.prod(shape) for shape in layer.facts.tops)
        yield from _of_layer(layer, size_bytes=4 * values)
    needs = needed_gradients(net.layers, force=role.net.force_backward)
    for layer in reversed(net.layers):
        runs = "needs" if layer.facts.node.index in needs else "does not need"
        yield LogLine("net.cpp:200", f"{layer.name} {runs} backward computation.")
    for output in net.outputs:
        yield LogLine("net.cpp:242", f"This network produces output {output.value.blob}")
    yield LogLine("net.cpp:255", "Network initialization done.")


def _of_layer(layer: NetLayer, *, size_bytes: int) -> Iterator[LogLine]:
    node = layer.facts.node
    yield LogLine("layer_factory.hpp:77", f"Creating layer {layer.name}")
    yield LogLine("net.cpp:86", f"Creating Layer {layer.name}")
    for bottom in node.bottoms:
        yield LogLine("net.cpp:408", f"{layer.name} <- {bottom.blob}")
    for top in node.tops:
        in_place = " (in-place)" if top.version else ""
        yield LogLine("net.cpp:382", f"{layer.name} -> {top.blob}{in_place}")
    yield LogLine("net.cpp:124", f"Setting up {layer.name}")
    for shape, weight in zip(layer.facts.tops, layer.loss_weights, strict=True):
        yield LogLine("net.cpp:131", f"Top shape: {describe(shape)}")
        if weight:
            yield LogLine("net.cpp:134", f"    with loss weight {number(weight)}")
    yield LogLine("net.cpp:139", f"Memory required for data: {size_bytes}")
