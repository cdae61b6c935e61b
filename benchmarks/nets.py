"""The nets that are timed: rendered ones, fed with constants so that no disk is measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from caffeflow.engine.net import Net
from caffeflow.proto.caffe_pb2 import TRAIN, LayerParameter, NetParameter
from caffeflow.proto.net import NetRole, filter_net, net_state
from caffeflow.proto.text import format_message, parse, read_net
from caffeflow.workflows.render import Request, render_net

_SOURCES = {"Data", "ImageData"}


@dataclass(frozen=True, kw_only=True)
class TimedNet:
    """A net of the catalogue as it is timed.

    Attributes:
        batch_size: Of the timed net.
        record: Channels, height and width after cropping.
        iterations: How many make one measurement of some seconds.
    """

    name: str
    batch_size: int
    record: tuple[int, int, int]
    iterations: int


TIMED: Final = (
    TimedNet(name="mobilenet-v2", batch_size=16, record=(3, 224, 224), iterations=3),
    TimedNet(name="caffenet", batch_size=16, record=(3, 227, 227), iterations=4),
    TimedNet(name="cifar10-quick", batch_size=100, record=(3, 32, 32), iterations=25),
    TimedNet(name="lenet", batch_size=64, record=(1, 28, 28), iterations=60),
)


def render_train_net(timed: TimedNet, *, batch_size: int | None = None) -> str:
    """Returns the training net of the catalogue, fed with constants, as text."""
    request = Request(net=timed.name, assignments={}, out_dir=Path("unused"), command="benchmark")
    rendered = render_net(request, is_dry_run=True).rendered.texts["train_val.prototxt"]
    net = parse(rendered, NetParameter(), source=timed.name)
    return with_dummy_data(net, batch_size=batch_size or timed.batch_size, record=timed.record)


def train_net(path: Path, *, device: torch.device = torch.device("cpu")) -> Net:  # noqa: B008 - immutable
    """Returns the net of a file in phase TRAIN, with its fillers' weights."""
    net_file = read_net(path)
    state = net_state("TRAIN")
    role = NetRole(net_file=net_file, net=filter_net(net_file.net, state), state=state, label="train net")
    return Net.of(role, device=device)


def with_dummy_data(net: NetParameter, *, batch_size: int, record: tuple[int, int, int]) -> str:
    """Returns the training net as text with DummyData in place of what reads a dataset.

    Args:
        net: The whole net, of all phases.
        batch_size: Of the timed net.
        record: Channels, height and width after cropping.
    """
    train = filter_net(net, net_state("TRAIN"))
    train.ClearField("state")
    for layer in train.layer:
        layer.ClearField("include")
        if layer.type in _SOURCES:
            layer.CopyFrom(_dummy(layer, (batch_size, *record)))
    return format_message(train)


def _dummy(layer: LayerParameter, shape: tuple[int, ...]) -> LayerParameter:
    dummy = LayerParameter(name=layer.name, type="DummyData", top=layer.top, phase=TRAIN)
    parameter = dummy.dummy_data_param
    parameter.shape.add(dim=shape)
    # A constant, because Caffe draws any other filler's values anew in every iteration, inside the timing.
    parameter.data_filler.add(type="constant", value=1)
    for _ in layer.top[1:]:
        parameter.shape.add(dim=shape[:1])
        parameter.data_filler.add(type="constant", value=1)
    return dummy
