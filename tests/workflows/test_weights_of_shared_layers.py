"""HDF5 weights as Caffe writes them of layers that share a part: the net fills in what the file leaves out."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.drop_in.command import run as run_caffe
from caffeflow.proto.binary import LayerArrays, read_caffemodel
from caffeflow.weights.formats import write_weights
from tests.support.drop_in_project import NET, SOLVER, write_project

TWIN = """
layer { name: "twin" type: "InnerProduct" bottom: "ip1" top: "twin" param { name: "w" }
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "twin_loss" type: "SoftmaxWithLoss" bottom: "twin" bottom: "label" top: "twin_loss" }
"""
STILL = SOLVER.replace("max_iter: 10", "max_iter: 0")


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """Writes a net whose two last layers share their weight, not their bias, and Caffe's HDF5 for it."""
    write_project(tmp_path, solver=STILL)
    owner = 'top: "ip2" param { lr_mult: 1 }'
    assert owner in NET
    net = NET.replace(owner, 'top: "ip2" param { name: "w" lr_mult: 1 }')
    (tmp_path / "net.prototxt").write_text(net + TWIN)
    twin = LayerArrays(
        "twin", "InnerProduct", (), (), (np.zeros((10, 11), np.float32), np.full(10, 7, np.float32))
    )
    path = tmp_path / "caffes.caffemodel.h5"
    write_weights(path, name="LeNet", layers=[*read_caffemodel(tmp_path / "initial.caffemodel"), twin])
    with h5py.File(path, "a") as file:
        del file["caffeflow"], file["data/twin/0"]
    return path.name


def check(path: Path) -> None:
    """Looks whether the layers of a snapshot have what the file holds of them."""
    initial = {layer.name: layer.arrays for layer in read_caffemodel("initial.caffemodel")}
    found = {layer.name: layer.arrays for layer in read_caffemodel(path)}
    for shown in (found["ip2"][0], found["twin"][0]):
        np.testing.assert_array_equal(shown, initial["ip2"][0])
    assert found["twin"][1].tolist() == [7] * 10


def test_train_begins_with_them(weights: str) -> None:
    assert run(["train", "--solver", "solver.prototxt", "--weights", weights, "--out", "made"]) == 0
    check(Path("lenet_iter_0.caffemodel"))


def test_the_caffe_command_begins_with_them(weights: str) -> None:
    assert run_caffe(["train", "-solver=solver.prototxt", f"-weights={weights}"], {}) == 0
    check(Path("lenet_iter_0.caffemodel"))


def test_test_and_time_take_them(weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["time", "net.prototxt", "--weights", weights, "--iterations", "1"]) == 0
    assert run_caffe(["test", "-model=net.prototxt", f"-weights={weights}", "-iterations=1"], {}) == 0
    assert run(["test", "net.prototxt", "--weights", weights]) == 0
    assert "layers copied: 4" in capsys.readouterr().err


def test_without_the_net_they_are_refused(weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "show", weights]) == 6
    assert "layer 'twin' lacks its blob 0" in capsys.readouterr().err
