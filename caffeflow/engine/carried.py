"""What layers carry over from one forward to the next beside their learned blobs: the state of RNN and LSTM.

Caffe's snapshots do not hold it. The one rule to know: it is kept as plain values by the layer's name, so
that it goes into the side file of a snapshot.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from caffeflow.engine.net import Net, NetLayer


def carried_values(net: Net) -> dict[str, Any]:
    """Returns what the layers of a net carry, as plain values by layer and tensor."""
    return {
        layer.name: {name: _plain(getattr(layer.module, name)) for name in layer.module.carried}
        for layer in _carrying(net)
    }


def give_back(net: Net, kept: Mapping[str, Any]) -> list[str]:
    """Lets layers go on with what was kept; returns the names of those of which nothing was."""
    forgotten = []
    for layer in _carrying(net):
        if layer.name not in kept:
            forgotten.append(layer.name)
            continue
        for name in layer.module.carried:
            setattr(layer.module, name, _tensor(kept[layer.name][name]).to(net.device))
    return forgotten


def _carrying(net: Net) -> list[NetLayer]:
    return [layer for layer in net.layers if layer.module.carried]


def _plain(tensor: Tensor) -> dict[str, Any]:
    values = tensor.detach().float().cpu().numpy()
    return {"shape": list(values.shape), "float32": base64.b64encode(values.tobytes()).decode()}


def _tensor(plain: Mapping[str, Any]) -> Tensor:
    values = np.frombuffer(base64.b64decode(plain["float32"]), np.float32)
    return torch.from_numpy(values.reshape(plain["shape"]).copy())
