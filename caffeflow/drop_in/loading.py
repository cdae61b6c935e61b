"""Weights for a net, by layer name as Caffe copies them."""

from __future__ import annotations

from pathlib import Path

from caffeflow.drop_in.glog import Log
from caffeflow.engine.lines import LogLine
from caffeflow.errors import WeightsError
from caffeflow.proto.net import NetRole
from caffeflow.workflows.weights_into_net import Loader, load_into


def load_weights(name: str, load: Loader, role: NetRole, log: Log) -> None:
    """Copies the weights of a file into a net.

    Args:
        name: The file.
        load: Copies layers into the net.
        role: The net, for messages.
        log: Gets the layers of the file that the net has not.

    Raises:
        WeightsError: The file cannot be read, or a layer does not fit.
    """
    net = str(role.net_file.path)
    plan = load_into(load, Path(name), net=net)
    for layer in plan.skipped:
        log.write(LogLine("net.cpp:750", f"Ignoring source layer {layer}"))
    if not plan.copied and not role.label.startswith("test net"):
        # Caffe goes on with what the fillers gave, and says nothing.
        log.warn(f"{name}: none of its layers is in {net}: nothing was copied")


def split_names(text: str) -> list[str]:
    """Returns the files of a list with commas.

    Raises:
        WeightsError: A name is missing between two commas.
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise WeightsError(f"Check failed: -weights {text}: a file's name is missing between commas")
    return names
