"""Checks of rendered text before anything is written: it parses, its graph closes, its shapes fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from caffeflow.layers.inference import NetShapes, infer
from caffeflow.layers.spec import Shape
from caffeflow.proto import legacy
from caffeflow.proto.caffe_pb2 import NetParameter, SolverParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import NetFile, layer_lines, located, parse
from caffeflow.render.tasks import PHASES_OF_FILES, SOLVER_FILES


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What the checked net costs.

    Attributes:
        params: Learned numbers, without BatchNorm's statistics and frozen layers.
        macs: Multiply-accumulates of one image.
        learned: The layers with weights, in order.
    """

    params: int
    macs: int
    learned: tuple[str, ...]


def check(texts: Mapping[str, str], *, out_dir: Path, record_shape: Shape) -> Figures:
    """Checks the prototxts of a net in every phase they have.

    Args:
        texts: File name to text.
        out_dir: Where they are to be written, for messages.
        record_shape: (C, H, W) of one stored record.

    Raises:
        NetError: What Caffe would refuse; it names the file, the line and the layer.
    """
    for name in SOLVER_FILES:
        if name in texts:
            parse(texts[name], SolverParameter(), source=str(out_dir / name))
    checked: dict[str, NetShapes] = {}
    for name, phases in PHASES_OF_FILES.items():
        if name not in texts:
            continue
        path = out_dir / name
        net = parse(texts[name], NetParameter(), source=str(path))
        legacy.upgrade_net(net)  # published SSD nets have their input outside of the layers
        with located(NetFile(net=net, path=path, lines=layer_lines(texts[name]))):
            for phase in phases:
                graph = build_graph(filter_net(net, net_state(phase)))
                checked[name] = infer(graph, record_shape=lambda _: record_shape)
    return _figures(checked["deploy.prototxt"])


def _figures(shapes: NetShapes) -> Figures:
    batch = shapes.layers[0].tops[0][0]
    params = 0
    for facts in shapes.layers:
        layer = facts.node.layer
        is_frozen = bool(layer.param) and all(each.lr_mult == 0 for each in layer.param)
        if facts.spec.type != "BatchNorm" and not is_frozen:
            params += sum(prod(blob.shape) for blob in facts.blobs)
    return Figures(
        params=params,
        macs=sum(facts.macs for facts in shapes.layers) // batch,
        learned=tuple(facts.name for facts in shapes.layers if facts.blobs),
    )
