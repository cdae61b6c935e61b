"""Weights for a net, by layer name as Caffe copies them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from caffeflow.drop_in.glog import Log
from caffeflow.engine.lines import LogLine
from caffeflow.proto.net import NetRole
from caffeflow.workflows.weights_into_net import load_into

if TYPE_CHECKING:
    from caffeflow.engine.net import Net


def load_weights(name: str, target: Net, role: NetRole, log: Log) -> None:
    """Copies the weights of a file into a net.

    Args:
        name: The file.
        target: The net.
        role: Its file, for messages.
        log: Gets the layers of the file that the net has not.

    Raises:
        WeightsError: The file cannot be read, or a layer does not fit.
    """
    from caffeflow.engine.snapshot_formats import shared_blobs

    net = str(role.net_file.path)
    plan = load_into(target.load, Path(name), net=net, shared=shared_blobs(target))
    for layer in plan.skipped:
        log.write(LogLine("net.cpp:750", f"Ignoring source layer {layer}"))
    if not plan.copied and not role.label.startswith("test net"):
        # Caffe goes on with what the fillers gave, and says nothing.
        log.warn(f"{name}: none of its layers is in {net}: nothing was copied")
