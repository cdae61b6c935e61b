"""The lines that Caffe logs while it builds a net: layers, shapes, memory, what runs backward.

The one rule to know: Caffe's Split layers are in these lines, and counted in the memory, though the engine
has none; so a log has the layers, blobs and bytes of Caffe's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf.message import Message

from caffeflow.engine.lines import LogLine, number
from caffeflow.engine.needs import needed_gradients
from caffeflow.engine.net import Net, NetLayer
from caffeflow.layers.spec import Shape
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.graph import Value
from caffeflow.proto.matching import describe
from caffeflow.proto.net import NetRole, filter_remarks
from caffeflow.proto.splits import Placed, place_splits
from caffeflow.proto.text import format_message

_WITH_A_LAYER_INSIDE: Final = {"SoftmaxWithLoss", "InfogainLoss"}  # a Softmax of the same name
_WHOLE: Final = re.compile(r"^( *\w+: -?\d+)\.0$", re.MULTILINE)


@dataclass(frozen=True)
class _Logged:
    """A layer as Caffe has it.

    Attributes:
        placed: The layer or split.
        own: The engine's layer; None for a split.
        shapes: Of its tops.
        weights: Of its tops, in the loss.
        runs_backward: Whether Caffe says so.
    """

    placed: Placed
    own: NetLayer | None
    shapes: Sequence[Shape]
    weights: Sequence[float]
    runs_backward: bool


def of_net(role: NetRole, net: Net) -> Iterator[LogLine]:
    """Yields what a solver's log says about one of its nets."""
    inline = role.field.endswith("_param")
    source = role.field if inline else f"{role.field} file: {role.net_file.path}"
    if role.label.startswith("test net"):
        number_of = role.label.removeprefix("test net ")
        made = f"Creating test net ({number_of}) specified by {source}"
    elif inline:
        made = f"Creating training net specified in {source}."
    else:
        made = f"Creating training net from {source}"
    yield LogLine("solver.cpp:87", made)
    yield from of_net_alone(role, net)


def of_net_alone(role: NetRole, net: Net) -> Iterator[LogLine]:
    """Yields what is said about any net, as `caffe test` and `caffe time` log it."""
    for source, remark in filter_remarks(role.net_file.net, role.state):
        yield LogLine(source, remark)
    yield LogLine("net.cpp:53", f"Initializing net from parameters: \n{message_text(role.net)}")
    # Caffe: what force_backward adds comes after these lines (net.cpp Init).
    needs = needed_gradients(net.layers, force=False)
    layers = [_logged(placed, net, needs) for placed in place_splits(net.graph)]
    values = 0
    owners: dict[str, tuple[str, int]] = {}
    for layer in layers:
        values += sum(math.prod(shape) for shape in layer.shapes)
        yield from _of_layer(layer, size_bytes=4 * values)
        if layer.own is not None:
            yield from _of_shared_params(layer.own, owners)
    for layer in reversed(layers):
        runs = "needs" if layer.runs_backward else "does not need"
        yield LogLine("net.cpp:200", f"{layer.placed.layer.name} {runs} backward computation.")
    for output in net.outputs:
        yield LogLine("net.cpp:242", f"This network produces output {output.value.blob}")
    yield LogLine("net.cpp:255", "Network initialization done.")


def message_text(message: Message) -> str:
    """Returns a message as text with numbers as C++ prints them: `1`, where Python has `1.0`."""
    return _WHOLE.sub(r"\1", format_message(message))


def _logged(placed: Placed, net: Net, needs: Mapping[int, tuple[bool, ...]]) -> _Logged:
    node, layer = placed.node, net.layers[placed.node.index]
    if placed.split_top is None:
        # Caffe: a weight that the file gives a top with several readers is its split's.
        moved = bool(node.layer.loss_weight) and not placed.layer.loss_weight
        weights = (0.0,) * len(layer.facts.tops) if moved else layer.loss_weights
        return _Logged(placed, layer, layer.facts.tops, weights, node.index in needs)
    value = node.tops[placed.split_top]
    count = len(placed.layer.top)
    given = list(placed.layer.loss_weight) or [0.0] * count
    runs = node.index in needs and (any(given) or _flows_to_readers(value, net, needs))
    return _Logged(placed, None, [net.shapes.tops[value]] * count, given, runs)


def _flows_to_readers(value: Value, net: Net, needs: Mapping[int, tuple[bool, ...]]) -> bool:
    return any(
        flows and bottom == value
        for reader in net.graph.readers(value)
        for bottom, flows in zip(reader.bottoms, needs.get(reader.index, ()), strict=False)
    )


def _of_layer(layer: _Logged, *, size_bytes: int) -> Iterator[LogLine]:
    message, type_ = layer.placed.layer, layer.placed.layer.type
    name = message.name
    yield LogLine("layer_factory.hpp:77", f"Creating layer {name}")
    if type_ == "Data":
        yield LogLine("db_lmdb.cpp:35", f"Opened lmdb {message.data_param.source}")
    yield LogLine("net.cpp:86", f"Creating Layer {name}")
    for bottom in message.bottom:
        yield LogLine("net.cpp:408", f"{name} <- {bottom}")
    for place, top in enumerate(message.top):
        in_place = " (in-place)" if top in message.bottom[place : place + 1] else ""
        yield LogLine("net.cpp:382", f"{name} -> {top}{in_place}")
    size = ",".join(map(str, layer.shapes[0])) if layer.shapes else ""
    if type_ == "Data":
        yield LogLine("data_layer.cpp:45", f"output data size: {size}")
    if type_ == "ImageData":
        yield from _of_image_list(message)
        yield LogLine("image_data_layer.cpp:90", f"output data size: {size}")
    if type_ in _WITH_A_LAYER_INSIDE:
        yield LogLine("layer_factory.hpp:77", f"Creating layer {name}")
    yield LogLine("net.cpp:124", f"Setting up {name}")
    for shape, weight in zip(layer.shapes, layer.weights, strict=True):
        yield LogLine("net.cpp:131", f"Top shape: {describe(shape)}")
        if weight:
            yield LogLine("net.cpp:134", f"    with loss weight {number(weight)}")
    yield LogLine("net.cpp:139", f"Memory required for data: {size_bytes}")


def _of_image_list(message: LayerParameter) -> Iterator[LogLine]:
    param = message.image_data_param
    with Path(param.source).open("rb") as file:
        count = sum(1 for _ in file)
    yield LogLine("image_data_layer.cpp:38", f"Opening file {param.source}")
    if param.shuffle:
        yield LogLine("image_data_layer.cpp:53", "Shuffling data")
    yield LogLine("image_data_layer.cpp:63", f"A total of {count} images.")


def _of_shared_params(layer: NetLayer, owners: dict[str, tuple[str, int]]) -> Iterator[LogLine]:
    for index, param in enumerate(layer.facts.node.layer.param):
        if not param.name:
            continue
        if param.name in owners:
            owner, place = owners[param.name]
            text = f"Sharing parameters '{param.name}' owned by layer '{owner}', param index {place}"
            yield LogLine("net.cpp:467", text)
        else:
            owners[param.name] = (layer.name, index)
