"""Running a net that was rendered and imported, on pictures as PyTorch's nets get them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caffeflow.engine.net import Net
from caffeflow.engine.training import FusedExecutor
from caffeflow.proto.binary import read_caffemodel
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.text import read_net
from caffeflow.workflows.open_net import Ask, open_net
from tests.support.torchvision_nets import normalised


def logits_of(folder: Path, caffemodel: Path, rgb: Tensor) -> NDArray[np.float32]:
    """The scores of a rendered deploy net for one RGB picture, fed as its own data layer would."""
    opened = open_net(Ask(net=str(folder / "deploy.prototxt")))
    written = {layer.name for layer in opened.net.layer if layer.blobs}  # a frozen scale of the input
    net = Net(opened.graph, opened.shapes(), seed=0 if written else None)
    plan = net.load(read_caffemodel(caffemodel))
    assert (set(plan.new), plan.skipped) == (written, ())
    scores = next(layer for layer in opened.net.layer if layer.type == "Softmax").bottom[0]
    transform = data_layer(folder).transform_param
    means = torch.tensor(list(transform.mean_value))[:, None, None]
    pixels = (rgb.flip(0) - means) * transform.scale
    made = FusedExecutor(net, keep=[scores]).forward({net.fed[0].name: (pixels[None],)})
    return made.outputs[scores].numpy().reshape(-1)


def data_layer(folder: Path) -> LayerParameter:
    """The data layer that a rendered net has in tests."""
    layers = read_net(folder / "train_val.prototxt").net.layer
    return next(layer for layer in layers if not layer.bottom and layer.include[0].phase == 1)


def torch_logits(net: torch.nn.Module, rgb: Tensor) -> NDArray[np.float32]:
    with torch.no_grad():
        logits: NDArray[np.float32] = net(normalised(rgb)[None])[0].numpy()
    return logits


def worst(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """The worst difference, as a share of the largest value."""
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
