"""Nets as messages: layers of every type with wild settings, linked as they come.

Half of the layers begin as a case of the layers' battery, so that the edits to its settings and shapes
reach the code behind the first check; the others have drawn settings alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from google.protobuf.message import Message
from hypothesis import strategies as st

import caffeflow.layers  # noqa: F401 - registers every type
from caffeflow.layers.inference import follow, infer
from caffeflow.layers.spec import SPECS
from caffeflow.proto import text
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.legacy import upgrade_net
from caffeflow.proto.net import filter_net, net_state
from tests.support.every_layer_case import CASES
from tests.support.fuzz.messages import fill, set_field
from tests.support.fuzz.target import Target

_SETTINGS: Final = {
    field.name.replace("_", "").removesuffix("param"): field
    for field in LayerParameter.DESCRIPTOR.fields
    if field.name.endswith("_param")
}
_BORROWED: Final = {
    "BNLL": "relu", "BatchReindex": "filter", "ConvolutionDepthwise": "convolution", "Deconvolution": "convolution",
    "DepthwiseConvolution": "convolution", "Im2col": "convolution", "LSTM": "recurrent", "LSTMUnit": "recurrent",
    "MultinomialLogisticLoss": "loss", "Normalize": "norm", "RNN": "recurrent", "SoftmaxWithLoss": "softmax",
}  # fmt: skip
_TYPES: Final = sorted(SPECS)
_COMMON: Final = [
    LayerParameter.DESCRIPTOR.fields_by_name[name]
    for name in (
        "param",
        "loss_weight",
        "propagate_down",
        "include",
        "exclude",
        "loss_param",
        "transform_param",
        "phase",
    )
]
_DIMS: Final = st.sampled_from((*range(1, 8), *range(1, 8), 0, -1, 64, 2**16, 2**31 - 1, 2**31, 2**62))
_NAMES: Final = ("a", "b", "c", "data", "label")
_CASES: Final = [
    (text.parse(case.prototxt, LayerParameter(), source=case.id), [np.shape(each) if isinstance(each, np.ndarray) else tuple(each) for each in case.bottoms], case.tops)
    for case in CASES
]  # fmt: skip


@st.composite
def _nets(draw: st.DrawFn) -> NetParameter:
    net = NetParameter(name="n")
    made: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        draw(st.sampled_from((_case, _case, _free)))(draw, net, made)
    if draw(st.integers(0, 9)) == 0:
        fill(draw, net, most=2)
    return net


def _case(draw: st.DrawFn, net: NetParameter, made: list[str]) -> None:
    """Adds inputs and a layer of the battery, with a few edits."""
    template, bottoms, tops = draw(st.sampled_from(_CASES))
    shapes = [list(shape) for shape in bottoms]
    for shape in shapes:
        if shape and draw(st.integers(0, 3)) == 0:
            shape[draw(st.integers(0, len(shape) - 1))] = draw(_DIMS)
        if draw(st.integers(0, 19)) == 0:
            shape[:] = draw(st.lists(_DIMS, max_size=6))
    names = [_input(net, made, shape) for shape in shapes]
    layer = net.layer.add()
    layer.CopyFrom(template)
    layer.name = f"layer{len(net.layer)}"
    layer.bottom.extend(names)
    layer.top.extend(f"{layer.name}_{number}" for number in range(tops))
    made.extend(layer.top)
    settings = [value for field, value in layer.ListFields() if field.name.endswith("_param")]
    for message in settings:
        _edit(draw, message)
    _add_common(draw, layer)


def _free(draw: st.DrawFn, net: NetParameter, made: list[str]) -> None:
    """Adds a layer of any type with drawn settings, bottoms and tops; most bottoms are there."""
    if not made:
        _input(net, made, draw(st.lists(_DIMS, max_size=5)))
    layer = net.layer.add(
        name=draw(st.sampled_from(_NAMES)), type=draw(st.sampled_from(_TYPES) | st.text(max_size=9))
    )
    # Now and then a name that nothing makes, or that a later layer makes.
    names = st.sampled_from((*made, *made, *made, *_NAMES))
    layer.bottom.extend(draw(st.lists(names, max_size=3)))
    new = [f"t{len(net.layer)}{number}" for number in range(3)]
    layer.top.extend(draw(st.lists(st.sampled_from((*new, *new, *_NAMES, *layer.bottom)), max_size=3)))
    made.extend(layer.top)
    field = _SETTINGS.get(_BORROWED.get(layer.type, layer.type.lower()))
    if field is not None:
        fill(draw, getattr(layer, field.name), most=6)
    _add_common(draw, layer)


def _input(net: NetParameter, made: list[str], shape: list[int]) -> str:
    name = f"input{len(net.layer)}"
    net.layer.add(name=name, type="Input", top=[name]).input_param.shape.add(dim=shape)
    made.append(name)
    return name


def _edit(draw: st.DrawFn, message: Message) -> None:
    for field in draw(st.lists(st.sampled_from(list(message.DESCRIPTOR.fields)), max_size=2)):
        set_field(draw, message, field)


def _add_common(draw: st.DrawFn, layer: LayerParameter) -> None:
    if draw(st.integers(0, 4)) == 0:
        set_field(draw, layer, draw(st.sampled_from(_COMMON)))


def _check(net: NetParameter) -> None:
    upgrade_net(net)
    for phase in ("TRAIN", "TEST"):
        graph = build_graph(filter_net(net, net_state(phase)))
        shapes = infer(graph, record_shape=lambda _layer: (3, 5, 7))
        inputs = [top for node in graph.nodes if node.layer.type == "Input" for top in node.tops]
        follow(shapes, {top: tuple(size + 1 for size in shapes.tops[top]) for top in inputs})


def _shown(net: NetParameter) -> bytes:
    return text.format_message(net).encode()


TARGETS: Final = (Target(name="net messages", inputs=_nets(), check=_check, shown=_shown),)
