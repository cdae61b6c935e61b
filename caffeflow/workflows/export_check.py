"""Whether onnxruntime computes of an exported net what the embedded engine does.

The one rule to know: probabilities hide differences, so what the last Softmax or Sigmoid reads is compared
as well; for that the graph is written once more, with these blobs as outputs too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from caffeflow.errors import UsageError
from caffeflow.export.onnx_export import export_onnx
from caffeflow.export.onnx_model import OnnxNet
from caffeflow.files import write_atomically
from caffeflow.proto.binary import Array, LayerArrays
from caffeflow.proto.graph import Graph
from caffeflow.workflows.open_net import OpenedNet
from caffeflow.workflows.same_outputs import Difference

if TYPE_CHECKING:
    from caffeflow.engine.net import Net
    from caffeflow.engine.training import Feeds

_HIDING: Final = ("Softmax", "Sigmoid")
_PASSING: Final = ("Flatten", "Reshape", "Permute")


def compare_onnx(
    opened: OpenedNet, layers: Sequence[LayerArrays], made: OnnxNet, *, folder: Path
) -> list[Difference]:
    """Returns how far onnxruntime's outputs are from the embedded engine's, on made-up images.

    Args:
        opened: The net.
        layers: Its weights.
        made: What was exported of both.
        folder: A temporary one, for a file of the model's size.

    Raises:
        UsageError: onnxruntime is not installed.
    """
    from caffeflow.engine.net import Net
    from caffeflow.engine.synthetic import synthetic_feeds
    from caffeflow.engine.training import FusedExecutor

    probe = export_onnx(
        opened.net,
        layers,
        opset=made.opset,
        dynamic_batch=-1 in (size for shape in made.inputs.values() for size in shape),
        keep=_hidden_scores(opened.graph, made),
    )
    net = Net(opened.graph, opened.shapes(), seed=None)
    net.load(layers)
    feeds = synthetic_feeds(net, seed=0)
    ours = FusedExecutor(net, keep=list(probe.blobs.values())).forward(feeds).outputs
    theirs = _run(probe, _inputs(net, feeds, probe), folder)
    return [difference(name, ours[blob].numpy(), theirs[name]) for name, blob in probe.blobs.items()]


def difference(blob: str, ours: Array, theirs: Array) -> Difference:
    """Returns how far two values of a blob are from each other; nan where one is not finite."""
    worst = float(np.abs(ours.astype(np.float64) - theirs).max(initial=0))
    largest = float(np.abs(ours).max(initial=0))
    return Difference(blob=blob, largest=largest if np.isfinite(worst) else np.nan, worst=worst)


def _run(probe: OnnxNet, inputs: dict[str, Array], folder: Path) -> dict[str, Array]:
    try:
        from caffeflow.export.onnx_run import run_onnx
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        raise UsageError(
            "--check runs the file with onnxruntime, which is not installed: pip install onnxruntime"
        ) from error
    file = folder / "probe.onnx"
    write_atomically(file, probe.pieces())
    return run_onnx(file, inputs)


def _inputs(net: Net, feeds: Feeds, probe: OnnxNet) -> dict[str, Array]:
    blobs = {
        top.blob: tensor.numpy()
        for layer in net.fed
        for top, tensor in zip(layer.facts.node.tops, feeds[layer.name], strict=True)
    }
    return {name: blobs[name] for name in probe.inputs}


def _hidden_scores(graph: Graph, made: OnnxNet) -> list[str]:
    """Returns the blobs behind the outputs' probabilities, as far as a name still stands for them."""
    makers = {top: node for node in graph.nodes for top in node.tops}
    values = [graph.last(blob) for blob in made.blobs.values()]
    found = []
    for value in values:
        node = makers[value]
        while node.layer.type in _PASSING:
            node = makers[node.bottoms[0]]
        if node.layer.type in _HIDING and graph.last(node.bottoms[0].blob) == node.bottoms[0]:
            found.append(node.bottoms[0].blob)
    return found
