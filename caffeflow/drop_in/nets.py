"""The net that `caffe test` and `caffe time` are given, in the state that the flags ask for."""

from __future__ import annotations

from pathlib import Path

from caffeflow.drop_in.gflags import CommandLine
from caffeflow.proto.caffe_pb2 import NetState
from caffeflow.proto.net import NetRole, Phase, filter_net, net_state
from caffeflow.proto.text import located, read_net


def asked_stages(line: CommandLine) -> list[str]:
    """Returns the stages of `-stage`; without it one without a name, which is what Caffe adds."""
    return line.text("stage").split(",")


def read_model(line: CommandLine, phase: Phase) -> NetRole:
    """Returns the net of `-model`.

    Raises:
        NetError: It cannot be read, or Caffe would refuse it.
    """
    net_file = read_net(Path(line.text("model")))
    state = NetState()
    state.CopyFrom(net_file.net.state)
    state.MergeFrom(net_state(phase, level=line.number("level"), stages=asked_stages(line)))
    with located(net_file):
        net = filter_net(net_file.net, state)
    return NetRole(net_file=net_file, net=net, state=state, label="net")
