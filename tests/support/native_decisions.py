"""Telling a flipped decision from a fault.

Max pooling and ReLU decide by comparing numbers. Where two are equal up to rounding, the two engines may
decide differently, and that gradient goes another way, though nothing is wrong. To tell: the deciding
layers are given Caffe's own inputs (which may differ from ours by rounding alone, and that is checked),
so they decide as Caffe did. If the updates then agree, a flipped decision was all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from caffeflow.engine.net import Net, NetLayer
from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.engine.training import Feeds, Result
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.text import format_message
from tests.support.native import NativeCaffe

_DRIVER: Final = Path(__file__).with_name("native_decision_driver.py")
ROUNDING: Final = 1e-5  # of the largest entry


class NudgedExecutor:
    """Runs a net layer by layer, with given values as the inputs of some layers.

    Args:
        net: The net.
        inputs: By layer name.
    """

    def __init__(self, net: Net, inputs: Mapping[str, np.ndarray]) -> None:
        self._net = net
        self._inputs = inputs
        self._stepwise = StepwiseExecutor(net)

    def forward(self, feeds: Feeds) -> Result:
        """Runs the net on one batch."""
        loss = torch.zeros(())
        done = 0
        for index, layer in enumerate(self._net.layers):
            if layer.name in self._inputs:
                loss = loss + self._stepwise.forward(feeds, start=done, end=index - 1).loss
                _nudge(self._stepwise.data[layer.facts.node.bottoms[0].blob], self._inputs[layer.name], layer)
                done = index
        result = self._stepwise.forward(feeds, start=done)
        return Result(loss=loss + result.loss, outputs=result.outputs)

    def backward(self) -> None:
        """Adds the gradients of that batch to those of the learned blobs."""
        self._stepwise.backward()


def decided_on(
    caffe: NativeCaffe, net: Net, *, weights: Path, feeds: Feeds, folder: Path
) -> dict[str, np.ndarray]:
    """Returns what Caffe's max poolings and ReLUs decide on, for one batch."""
    folder.mkdir(parents=True, exist_ok=True)
    deciding = [layer.name for layer in net.layers if _decides(layer)]
    (folder / "net.prototxt").write_text(_fed_by_hand(net, feeds))
    (folder / "deciding.json").write_text(json.dumps(deciding))
    (folder / "weights.caffemodel").unlink(missing_ok=True)
    (folder / "weights.caffemodel").symlink_to(weights)
    blobs = {
        top: value.numpy()
        for layer in net.fed
        for top, value in zip(layer.facts.node.layer.top, feeds[layer.name], strict=True)
    }
    np.savez(folder / "feeds.npz", **blobs)
    caffe.run("python", _DRIVER, folder)
    return dict(np.load(folder / "bottoms.npz"))


def _decides(layer: NetLayer) -> bool:
    is_max_pooling = layer.type == "Pooling" and layer.facts.node.layer.pooling_param.pool == 0
    return is_max_pooling or layer.type == "ReLU"


def _nudge(ours: Tensor, theirs: np.ndarray, layer: NetLayer) -> None:
    given = torch.from_numpy(theirs)
    largest = float(given.abs().max())
    difference = float((ours - given).abs().max())
    assert difference <= ROUNDING * largest, (
        f"{layer.name}: its input differs from Caffe's by more than rounding"
    )
    ours.copy_(given)


def _fed_by_hand(net: Net, feeds: Feeds) -> str:
    """Returns the net's text with Input layers in place of what is fed."""
    text = NetParameter(name=net.graph.name)
    for layer in net.layers:
        message = text.layer.add()
        message.CopyFrom(layer.facts.node.layer)
        message.ClearField("include")
        if layer.name in feeds:
            message.CopyFrom(LayerParameter(name=layer.name, type="Input", top=layer.facts.node.layer.top))
            for value in feeds[layer.name]:
                message.input_param.shape.add(dim=value.shape)
    return format_message(text)
