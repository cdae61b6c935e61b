"""HDF5Output: what lies in the file after one forward and after several."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.engine.training import FusedExecutor
from caffeflow.errors import DataError, NetError
from tests.support.engine_nets import batch, images, layer, net_of

OUTPUT = layer("out", "HDF5Output", "data label", "", 'hdf5_output_param { file_name: "out.h5" }')


@pytest.mark.parametrize("executor", [FusedExecutor, StepwiseExecutor])
def test_each_forward_adds_its_rows(executor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("out.h5").write_text("of an earlier run")
    net = net_of(images(3, 2, 5) + OUTPUT)
    batches = [batch(net, seed=seed) for seed in range(3)]
    runs = executor(net)
    for feeds in batches:
        runs.forward(feeds)
    with h5py.File("out.h5") as file:
        assert sorted(file) == ["data", "label"]
        for place, (name, shape) in enumerate([("data", (9, 2, 5, 1)), ("label", (9, 1, 1, 1))]):
            expected = np.concatenate([feeds["data"][place].numpy() for feeds in batches])
            assert file[name].dtype == np.float32
            np.testing.assert_array_equal(file[name][...], expected.reshape(shape))


def test_a_file_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = net_of(images(3, 2, 5) + OUTPUT.replace("out.h5", "no/folder/out.h5"))
    with pytest.raises(DataError, match=r"no/folder/out\.h5: cannot be written.*file_name"):
        FusedExecutor(net).forward(batch(net))


def test_rows_of_another_shape_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = net_of(images(3, 2, 5) + OUTPUT)
    runs = FusedExecutor(net)
    runs.forward(batch(net))
    with pytest.raises(DataError, match=r"out\.h5.*2 x 5 x 1.*2 x 7 x 1"):
        runs.forward({"data": (torch.zeros(3, 2, 7), torch.zeros(3))})


def test_both_bottoms_have_as_many_rows():
    shapes = "shape { dim: 3 dim: 2 } shape { dim: 5 }"
    with pytest.raises(NetError, match=r"'out'.*3 x 2 and 5"):
        net_of(layer("data", "Input", "", "data label", f"input_param {{ {shapes} }}") + OUTPUT)
