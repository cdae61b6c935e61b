"""What two builds of Caffe compute from one net in one iteration of training, compared.

Both draw the same input and the same initial weights, from the solver's seed. The scores are written by
an HDF5Output layer, so that no digit is lost. The gradients are in the weights after the iteration: with a
learning rate as large as this one, nothing else is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmarks.page import Goal
from caffeflow import system
from caffeflow.proto.binary import read_caffemodel
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.text import format_message

Array = NDArray[np.float64]

_SOLVER = (
    'net: "{net}"\nbase_lr: 1e6\nlr_policy: "fixed"\nmax_iter: 1\nrandom_seed: 3\n'
    'snapshot_prefix: "{prefix}"\nsolver_mode: CPU\n'
)


@dataclass(frozen=True)
class Difference:
    """How far two sides are apart.

    Attributes:
        scores: The largest difference of scores, relative to the largest score.
        gradients: The norm of the difference of all gradients, relative to their norm.
    """

    scores: float
    gradients: float

    def lines(self, goal: Goal) -> list[str]:
        """Returns the findings as lines of a page."""
        verdict = "met" if goal.is_met(self.scores) else "**missed**"
        return [
            f"Outputs (the scores of a batch of noise) differ by {self.scores:.1e} of the largest;"
            f" {goal}: {verdict}.",
            f"Gradients of all weights differ by {self.gradients:.1e} of their norm.",
        ]


def compare_outputs(
    net: NetParameter, binaries: Mapping[str, Path], *, environment: Mapping[str, str], scratch: Path
) -> Difference:
    """Runs one training iteration with each binary (`before` and `after`) and compares what comes out."""
    before, after = (
        _train_once(net, binaries[side], environment=environment, folder=scratch / side)
        for side in ("before", "after")
    )
    assert before.scores.shape == after.scores.shape, f"{before.scores.shape} is not {after.scores.shape}"
    assert before.gradients.shape == after.gradients.shape, "the nets have other weights"
    apart = np.abs(before.scores - after.scores).max() / np.abs(before.scores).max()
    gradients = np.linalg.norm(before.gradients - after.gradients) / np.linalg.norm(before.gradients)
    return Difference(float(apart), float(gradients))


@dataclass(frozen=True)
class _Made:
    scores: Array
    gradients: Array


def _train_once(net: NetParameter, binary: Path, *, environment: Mapping[str, str], folder: Path) -> _Made:
    folder.mkdir()
    path, solver = folder / "net.prototxt", folder / "solver.prototxt"
    path.write_text(format_message(_with_noise_and_scores(net, folder / "scores.h5")))
    solver.write_text(_SOLVER.format(net=path, prefix=folder / "net"))
    done = system.run([binary, "train", "-solver", solver], env=environment)
    assert done.returncode == 0, f"{binary} ended with {done.returncode}:\n{done.output[-4000:]}"
    with h5py.File(folder / "scores.h5") as file:
        scores = np.asarray(file["data"], np.float64)
    layers = read_caffemodel(folder / "net_iter_1.caffemodel")
    # A BatchNorm's blobs are running means, which no gradient moves.
    learned = [array for layer in layers if layer.type != "BatchNorm" for array in layer.arrays]
    return _Made(scores, np.concatenate([array.ravel() for array in learned]).astype(np.float64))


def _with_noise_and_scores(net: NetParameter, out: Path) -> NetParameter:
    made = NetParameter()
    made.CopyFrom(net)
    for layer in made.layer:
        if layer.type == "DummyData":
            filler = layer.dummy_data_param.data_filler[0]
            filler.Clear()
            filler.type, filler.std = "gaussian", 1
    loss = next(layer for layer in made.layer if layer.type.endswith("Loss"))
    writer = LayerParameter(name="scores_out", type="HDF5Output", bottom=loss.bottom[:2])
    writer.hdf5_output_param.file_name = str(out)
    made.layer.append(writer)
    return made
