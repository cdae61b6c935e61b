"""Recurrent nets run free beside Caffe: sequences from HDF5 that go on from batch to batch, states and all."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from caffeflow.proto.binary import read_caffemodel
from tests.support.engine_nets import layer
from tests.support.native import NativeCaffe, Report
from tests.support.native_ours import train_ours, write_initial_weights
from tests.support.native_training import train, write_solver

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("one_thread")]

STEPS, STREAMS, ROWS, ITERATIONS = 5, 3, 37, 50
BOUND = 1e-5  # relative; the printing of six digits takes up to half of it
FIELDS = f'base_lr: 0.02 momentum: 0.9 lr_policy: "fixed" display: 1 max_iter: {ITERATIONS}'
FILLERS = (
    'weight_filler { type: "uniform" min: -0.4 max: 0.4 } bias_filler { type: "uniform" min: -0.1 max: 0.1 }'
)


def write_sequences(folder: Path) -> Path:
    """Writes running sums of noise; a stream begins anew once in a while, hardly ever where a batch does."""
    random = np.random.default_rng(5)
    x = random.standard_normal((ROWS, STREAMS, 7)).astype(np.float32)
    cont = (random.uniform(size=(ROWS, STREAMS)) > 0.1).astype(np.float32)
    wanted, total = np.zeros((ROWS, STREAMS, 2)), np.zeros((STREAMS, 2))
    for row in range(ROWS):
        total = 0.5 * cont[row][:, None] * total + x[row, :, :2]
        wanted[row] = np.tanh(total)
    with h5py.File(folder / "sequences.h5", "w") as file:
        file["x"], file["cont"], file["wanted"] = x, cont, wanted
    source = folder / "sequences.txt"
    source.write_text(f"{folder / 'sequences.h5'}\n")
    return source


@pytest.mark.parametrize("layer_type", ["RNN", "LSTM"])
def test_free_running_losses(layer_type: str, caffe: NativeCaffe, tmp_path: Path, report: Report) -> None:
    source = f'hdf5_data_param {{ source: "{write_sequences(tmp_path)}" batch_size: {STEPS} }}'
    product = f"inner_product_param {{ num_output: 2 axis: 2 {FILLERS} }}"
    (tmp_path / "net.prototxt").write_text(
        layer("rows", "HDF5Data", "", "x cont wanted", source)
        + layer("memory", layer_type, "x cont", "h", f"recurrent_param {{ num_output: 11 {FILLERS} }}")
        + layer("found", "InnerProduct", "h", "found", product)
        + layer("loss", "EuclideanLoss", "found wanted", "loss")
    )
    solver = write_solver(tmp_path / "solver.prototxt", net=tmp_path / "net.prototxt", fields=FIELDS)
    initial = tmp_path / "initial.caffemodel"
    write_initial_weights(solver, initial)
    theirs = train(caffe, solver, f"-weights={initial}")
    ours, files = train_ours(solver, iterations=ITERATIONS, weights=initial)
    found = [abs(loss - theirs.losses[n]) / theirs.losses[n] for n, loss in enumerate(ours)]
    assert len(found) == ITERATIONS
    assert max(found) <= BOUND
    assert sum(ours[-10:]) < sum(ours[:10]) / 2
    mine = {one.name: one.arrays for one in read_caffemodel(files.caffemodel)}
    worst = max(
        float(np.abs(array - other).max() / np.abs(other).max())
        for one in read_caffemodel(theirs.weights(ITERATIONS))
        for array, other in zip(mine[one.name], one.arrays, strict=True)
    )
    assert worst <= BOUND
    report(f"{layer_type} trained", f"{ITERATIONS} losses within {max(found):.1e}, weights {worst:.1e}")
