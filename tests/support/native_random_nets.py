"""Random nets in the real Caffe: what it answers for each, or why it gives none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from tests.support.native import NativeCaffe
from tests.support.random_nets.drawing import RandomNet

DRIVER: Final = Path(__file__).with_name("native_random_driver.py")


@dataclass(frozen=True, kw_only=True)
class CaffeLayer:
    """One layer as Caffe runs it, its own Split layers among them.

    Attributes:
        index: Its number, by which the arrays are kept.
        name: Its name.
        type: Its type.
        bottoms: Names of the blobs that it reads, which are Split's tops where several layers read one.
        tops: Names of the blobs that it makes.
        loss: What it adds to the net's loss.
        runs_backward: Caffe's log says that it needs backward computation.
    """

    index: int
    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    loss: float
    runs_backward: bool


@dataclass(frozen=True, kw_only=True)
class CaffeAnswer:
    """What Caffe makes of a net.

    Attributes:
        layers: In the order in which they run.
        blobs: Shape of each blob at the end.
        weights: Loss weight of each blob.
        inputs: Names of the net's inputs.
        outputs: Names of what nothing reads.
        arrays: What flowed, by the names of the driver.
    """

    layers: tuple[CaffeLayer, ...]
    blobs: dict[str, tuple[int, ...]]
    weights: dict[str, float]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    arrays: dict[str, np.ndarray]

    @property
    def loss(self) -> float:
        """The whole net's loss."""
        return sum(layer.loss for layer in self.layers)

    def layer(self, name: str) -> CaffeLayer:
        """Returns the layer of a name."""
        return next(layer for layer in self.layers if layer.name == name)

    def of(self, kind: str, layer: CaffeLayer) -> list[np.ndarray]:
        """Returns the arrays of a kind that the driver kept of a layer."""
        found: list[np.ndarray] = []
        while (name := f"{kind}/{layer.index}/{len(found)}") in self.arrays:
            found.append(self.arrays[name])
        return found


def ask_caffe(caffe: NativeCaffe, nets: Sequence[RandomNet], folder: Path) -> dict[str, CaffeAnswer | str]:
    """Returns by name what Caffe makes of each net; the end of its log where it refuses one."""
    folder.mkdir(exist_ok=True)
    orders = [{"name": net.name, "phase": net.phase, "seed": net.seed + 1} for net in nets]
    for net in nets:
        (folder / f"{net.name}.prototxt").write_text(net.text())
        np.savez(folder / f"{net.name}.in.npz", **net.feeds)
    (folder / "orders.json").write_text(json.dumps(orders))
    caffe.run("python", DRIVER, folder)
    return {net.name: _answer(folder, net.name) for net in nets}


def _answer(folder: Path, name: str) -> CaffeAnswer | str:
    log = (folder / f"{name}.log").read_text(errors="replace")
    path = folder / f"{name}.json"
    if not path.exists():
        return log[-1500:]
    facts = json.loads(path.read_text())
    with np.load(folder / f"{name}.out.npz") as file:
        arrays = dict(file)
    layers = tuple(
        CaffeLayer(
            index=index,
            name=layer["name"],
            type=layer["type"],
            bottoms=tuple(layer["bottoms"]),
            tops=tuple(layer["tops"]),
            loss=facts["losses"][index],
            runs_backward=f"] {layer['name']} needs backward computation." in log,
        )
        for index, layer in enumerate(facts["layers"])
    )
    return CaffeAnswer(
        layers=layers,
        blobs={blob: tuple(shape) for blob, shape in facts["blobs"].items()},
        weights=facts["weights"],
        inputs=tuple(facts["inputs"]),
        outputs=tuple(facts["outputs"]),
        arrays=arrays,
    )
