"""The nets that are timed: rendered ones, fed with constants so that no disk is measured."""

from __future__ import annotations

from caffeflow.proto.caffe_pb2 import TRAIN, LayerParameter, NetParameter
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import format_message

_SOURCES = {"Data", "ImageData"}


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
