"""How far onnxruntime is from the embedded engine, net by net: `python -m benchmarks.onnx_table`.

Every net is as `caffeflow export NAME` takes it, at its full size, with random weights that were calibrated;
biases and scales are moved from 0 and 1, where a slip would not show. Differences are shares of the largest
value: of the scores, and of the probabilities made of them. With `--fold` BatchNorm is folded before, as in
the bundles of `caffeflow deploy`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import torch

from caffeflow.engine.calibration import calibrate
from caffeflow.engine.net import Net
from caffeflow.engine.synthetic import synthetic_feeds
from caffeflow.export.onnx_export import DEFAULT_OPSET, export_onnx
from caffeflow.proto.binary import LayerArrays
from caffeflow.proto.caffe_pb2 import FillerParameter
from caffeflow.proto.graph import build_graph
from caffeflow.render.catalog import find_net, net_names
from caffeflow.weights.folding import fold_net
from caffeflow.weights.initial import initial_arrays
from caffeflow.workflows.export_check import compare_onnx
from caffeflow.workflows.open_net import Ask, open_net

TOLERANCE = 1e-4
IMAGES = 4  # to calibrate on


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was found of one net."""

    net: str
    nodes: int
    megabytes: float
    outputs: dict[str, float]
    seconds: float

    @property
    def worst(self) -> float:
        """The largest of the differences."""
        return max(self.outputs.values())


def catalogue(task: str) -> Iterator[str]:
    """Yields the catalogue's nets of a task, with their variants."""
    for name in net_names():
        net = find_net(name)
        if net.task.name == task:
            variants = net.variants if len(net.variants) > 1 else [""]
            yield from (f"{name}:{variant}" if variant else name for variant in variants)


def random_weights(ask: Ask, *, images: int = IMAGES) -> list[LayerArrays]:
    """Returns calibrated random weights of a net."""
    opened = open_net(replace(ask, batch_size=images))
    shapes = opened.shapes()
    net = Net(opened.graph, shapes, seed=None)
    rng = np.random.default_rng(5)
    layers = initial_arrays(shapes, seed=3, instead_of_zeros=FillerParameter(type="msra"))
    net.load([_shaken(layer, rng) for layer in layers])
    calibrate(net, [synthetic_feeds(net, seed=seed) for seed in range(2)])
    return net.arrays()


def _shaken(layer: LayerArrays, rng: np.random.Generator) -> LayerArrays:
    if layer.type == "BatchNorm":
        return layer
    arrays = [a if a.ndim > 1 else a + rng.uniform(-0.4, 0.4, a.shape) for a in layer.arrays]
    return replace(layer, arrays=tuple(array.astype(np.float32) for array in arrays))


def measure(ask: Ask, folder: Path, *, opset: int = DEFAULT_OPSET, fold: bool = False) -> Row:
    """Exports a net, as it is or with BatchNorm folded as in a bundle of `deploy`, and compares."""
    layers: Sequence[LayerArrays] = random_weights(ask)
    opened = open_net(ask)
    if fold:
        folded = fold_net(opened.net, layers)
        opened, layers = replace(opened, net=folded.net, graph=build_graph(folded.net)), folded.layers
    start = time.perf_counter()
    made = export_onnx(opened.net, layers, opset=opset)
    size = sum(len(piece) for piece in made.pieces())
    seconds = time.perf_counter() - start
    found = compare_onnx(opened, layers, made, folder=folder)
    return Row(
        net=ask.net,
        nodes=sum(made.operators().values()),
        megabytes=size / 1e6,
        outputs={each.blob: each.relative for each in found},
        seconds=seconds,
    )


def main() -> None:
    """Prints the table; exit code 1 if a net differs by more than the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nets", nargs="*", help="names of the catalogue; all by default")
    parser.add_argument("--opset", type=int, default=DEFAULT_OPSET)
    parser.add_argument("--fold", action="store_true", help="fold BatchNorm before, as deploy does")
    arguments = parser.parse_args()
    nets = arguments.nets or [*catalogue("classification"), *catalogue("detection")]
    torch.set_num_threads(1)
    print(f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}, opset {arguments.opset}\n")
    print("| net | nodes | MB | written in s | worst difference, of the largest |")
    print("|---|---:|---:|---:|---|")
    rows = []
    with TemporaryDirectory() as folder:
        for net in nets:
            row = measure(Ask(net=net), Path(folder), opset=arguments.opset, fold=arguments.fold)
            rows.append(row)
            listed = ", ".join(f"{blob} {value:.1e}" for blob, value in row.outputs.items())
            line = f"| {row.net} | {row.nodes} | {row.megabytes:.1f} | {row.seconds:.2f} | {listed} |"
            print(line, flush=True)
    worst = max(rows, key=lambda row: row.worst)
    print(f"\nworst of {len(rows)} nets: {worst.net}, {worst.worst:.1e}")
    raise SystemExit(int(worst.worst > TOLERANCE))


if __name__ == "__main__":
    main()
