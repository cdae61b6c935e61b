"""Proof that a deployed net gives what the tested one does: both are run, and OpenCV runs the files.

What is compared stands before the last step, where a slip shows: the scores before a Softmax, and what a
DetectionOutput chooses from. A difference is told as a share of the largest value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.engine.net import Net
from caffeflow.engine.training import Feeds, FusedExecutor
from caffeflow.errors import CheckError, NetError
from caffeflow.evaluate.opencv_check import find_obstacle, run_opencv
from caffeflow.proto.graph import Graph, Value
from caffeflow.proto.stages import SCORES_OF
from caffeflow.workflows.bundle import maker_type
from caffeflow.workflows.same_outputs import TOLERANCE

_LAST_STEPS: Final = ("Softmax", "Sigmoid", "DetectionOutput")

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison.

    Attributes:
        what: What was compared with what, on which input.
        blob: Of the deployed net; empty if it is about all of them.
        worst: The largest difference, as a share of the largest value; None if it could not be compared.
        reason: Why not.
    """

    what: str
    blob: str
    worst: float | None
    reason: str = ""


def probes_of(graph: Graph) -> list[str]:
    """Returns the blobs of a deployed net that are compared, in file order."""
    outputs = set(graph.outputs)
    found: list[str] = []
    for node in graph.nodes:
        if outputs.intersection(node.tops) and node.layer.type not in ("Input", "Silence"):
            values = node.bottoms if node.layer.type in _LAST_STEPS else node.tops
            found += [value.blob for value in values]
    return found


def partners(tested: Graph, deployed: Graph) -> list[tuple[str, str]]:
    """Returns which blob of the tested net each compared blob of a deployed one must equal.

    They have one name, or are the only scores of either net.

    Raises:
        NetError: One has no partner.
    """
    known = {value.blob for node in tested.nodes for value in node.tops}
    probes = probes_of(deployed)
    missing = [blob for blob in probes if blob not in known]
    if not missing:
        return [(blob, blob) for blob in probes]
    scores = [node.bottoms[0].blob for node in tested.nodes if node.layer.type in SCORES_OF]
    if len(scores) == 1 and len(probes) == 1:
        return [(scores[0], probes[0])]
    raise NetError(
        f"the deploy net's blob '{missing[0]}' is none of the tested net, so that they cannot be compared;"
        " call it the same in both, or remove the deploy file to have one derived"
    )


def run_net(net: Net, feeds: Feeds, blobs: Sequence[str]) -> list[Floats]:
    """Returns what a net makes, as arrays."""
    made = FusedExecutor(net, keep=blobs).forward(feeds).outputs
    return [made[blob].float().cpu().numpy() for blob in blobs]


def compare(
    what: str, expected: Sequence[Floats], found: Sequence[Floats], blobs: Sequence[str]
) -> list[Check]:
    """Returns a check for each blob.

    Raises:
        CheckError: One differs by more than the bound, or in shape, or is not all numbers.
    """
    checks = []
    for blob, ours, theirs in zip(blobs, found, expected, strict=True):
        if ours.size != theirs.size:
            raise CheckError(
                f"{what}: blob '{blob}' has {ours.size} values, expected {theirs.size}; nothing was written"
            )
        worst = difference(ours.reshape(-1), theirs.reshape(-1))
        if not worst <= TOLERANCE:
            raise CheckError(
                f"{what}: blob '{blob}' differs by {worst:.3g} of the largest value, more than {TOLERANCE:g};"
                " nothing was written"
            )
        checks.append(Check(what=what, blob=blob, worst=worst))
    return checks


def difference(one: Floats, other: Floats) -> float:
    """Returns the largest difference as a share of the largest value; NaN where values are no numbers."""
    if not one.size:
        return 0.0
    largest = float(np.abs(other).max())
    worst = float(np.abs(one.astype(np.float64) - other).max())
    return worst / largest if largest else worst


def check_opencv(
    net: Net, files: tuple[Path, Path], inputs: Mapping[str, Any], blobs: Sequence[str]
) -> list[Check]:
    """Compares with what OpenCV's Caffe importer makes of the two files.

    Args:
        net: The deployed net, loaded.
        files: Its prototxt and caffemodel.
        inputs: An image (1, C, H, W) by the name of the input.
        blobs: What is compared.

    Raises:
        CheckError: OpenCV gives other values; it names the first layer that does.
    """
    what = "OpenCV's importer"
    obstacle = find_obstacle(net.shapes)
    if obstacle is not None:
        return [Check(what=what, blob="", worst=None, reason=obstacle)]
    makers = _last_makers(net.graph)
    feeds = {name: (values,) for name, values in inputs.items()}
    arrays = {name: values.numpy() for name, values in inputs.items()}
    ours = run_net(net, feeds, blobs)
    checks = []
    for blob, values in zip(blobs, ours, strict=True):
        try:
            theirs = run_opencv(*files, inputs=arrays, layer=makers[blob])
        except CheckError as error:
            return [Check(what=what, blob="", worst=None, reason=str(error).removeprefix(f"{files[0]}: "))]
        worst = difference(values.reshape(-1), theirs.reshape(-1)) if values.size == theirs.size else np.inf
        if not worst <= TOLERANCE:
            first = _first_other(net, files, feeds, arrays)
            raise CheckError(
                f"{what} makes something else of blob '{blob}': {worst:.3g} of the largest value, more than"
                f" {TOLERANCE:g}{first}; nothing was written (--no-opencv leaves this check out)"
            )
        checks.append(Check(what=what, blob=blob, worst=worst))
    return checks


def _last_makers(graph: Graph) -> dict[str, str]:
    """Returns the layer that a blob is last written by."""
    return {value.blob: node.name for node in graph.nodes for value in node.tops[:1]}


def _first_other(net: Net, files: tuple[Path, Path], feeds: Feeds, arrays: Mapping[str, Floats]) -> str:
    """Returns a phrase on the first layer of which OpenCV makes something else."""
    makers = _last_makers(net.graph)
    names = [
        blob for blob in makers if maker_type(net.graph, net.graph.last(blob)) not in ("Input", "Silence")
    ]
    for blob, values in zip(names, run_net(net, feeds, names), strict=True):
        theirs = run_opencv(*files, inputs=arrays, layer=makers[blob])
        if values.size != theirs.size or not difference(values.reshape(-1), theirs.reshape(-1)) <= TOLERANCE:
            value: Value = net.graph.last(blob)
            return f"; the first layer that differs is '{makers[blob]}' ({maker_type(net.graph, value)})"
    return ""
