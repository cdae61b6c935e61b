"""Weights in HDF5 go between the real Caffe and caffeflow, both ways."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from caffeflow.errors import WeightsError
from caffeflow.proto.binary import LayerArrays, read_caffemodel
from caffeflow.weights.formats import read_weights, write_weights
from tests.support.native import NativeCaffe
from tests.support.native_ours import solve_ours
from tests.support.solved import Solved

pytestmark = pytest.mark.native

NET = """
name: "small"
layer { name: "data" type: "DummyData" top: "x" top: "y" dummy_data_param {
  shape { dim: 2 dim: 3 dim: 5 dim: 7 } shape { dim: 2 dim: 2 }
  data_filler { type: "constant" value: 0.5 } data_filler { type: "constant" value: 0.25 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv"
  convolution_param { num_output: 5 kernel_h: 2 kernel_w: 3 weight_filler { type: "xavier" } } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "%s" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "y" top: "loss" }
"""
SOLVER = """net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 3 snapshot_prefix: "made"
solver_mode: CPU random_seed: 1 snapshot_format: HDF5 snapshot_after_train: true"""


def trained(caffe: NativeCaffe, folder: Path, *, last: str) -> Path:
    """Trains three iterations and returns the HDF5 snapshot."""
    (folder / "net.prototxt").write_text(NET % last)
    (folder / "solver.prototxt").write_text(SOLVER)
    caffe.run("caffe", "train", "-solver", "solver.prototxt", cwd=folder)
    return folder / "made_iter_3.caffemodel.h5"


def loss(caffe: NativeCaffe, folder: Path, weights: str) -> float:
    words = ("-model", "net.prototxt", "-weights", weights, "-iterations", "1")
    output = caffe.run("caffe", "test", *words, cwd=folder)
    found = re.findall(r"loss = ([-+.\de]+)", output)
    return float(found[-1])


def test_caffes_hdf5_is_read_and_holds_what_its_caffemodel_holds(caffe: NativeCaffe, tmp_path: Path) -> None:
    layers = {layer.name: layer for layer in read_weights(trained(caffe, tmp_path, last="ip"))}
    assert set(layers) == {"conv", "norm", "ip"}
    solver = (tmp_path / "solver.prototxt").read_text().replace("HDF5", "BINARYPROTO")
    (tmp_path / "solver.prototxt").write_text(solver)
    caffe.run("caffe", "train", "-solver", "solver.prototxt", cwd=tmp_path)
    binary = [layer for layer in read_caffemodel(tmp_path / "made_iter_3.caffemodel") if layer.arrays]
    assert len(binary) == 3
    for layer in binary:
        assert [a.shape for a in layers[layer.name].arrays] == [a.shape for a in layer.arrays]
        for mine, its in zip(layers[layer.name].arrays, layer.arrays, strict=True):
            np.testing.assert_array_equal(mine, its)


def test_caffe_computes_the_same_with_our_hdf5(caffe: NativeCaffe, tmp_path: Path) -> None:
    snapshot = trained(caffe, tmp_path, last="ip")
    layers = read_weights(snapshot)
    full = [LayerArrays("relu", "ReLU", ("conv",), ("conv",), ()), *layers]
    write_weights(tmp_path / "ours.caffemodel.h5", name="small", layers=full)
    write_weights(tmp_path / "ours.caffemodel", name="small", layers=full)
    wanted = loss(caffe, tmp_path, snapshot.name)
    assert wanted > 0
    assert loss(caffe, tmp_path, "ours.caffemodel.h5") == wanted
    assert loss(caffe, tmp_path, "ours.caffemodel") == wanted
    bigger = [LayerArrays(each.name, each.type, (), (), tuple(2 * a for a in each.arrays)) for each in layers]
    write_weights(tmp_path / "other.h5", name="small", layers=bigger)
    assert loss(caffe, tmp_path, "other.h5") != wanted


def test_layers_inside_layers_are_read_by_us_and_not_by_caffe(caffe: NativeCaffe, tmp_path: Path) -> None:
    snapshot = trained(caffe, tmp_path, last="conv/ip")
    layers = {layer.name: layer for layer in read_weights(snapshot)}
    assert set(layers) == {"conv", "norm", "conv/ip"}
    assert [array.shape for array in layers["conv/ip"].arrays] == [(2, 5 * 4 * 5), (2,)]
    with pytest.raises(AssertionError, match="Incompatible number of blobs for layer conv"):
        loss(caffe, tmp_path, snapshot.name)


def test_what_layers_share_is_stored_once_by_caffe(
    caffe: NativeCaffe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = NET.replace('bottom: "conv" top: "ip"', 'bottom: "conv" top: "ip" param { name: "w" }')
    twin = (
        'layer { name: "twin" type: "InnerProduct" bottom: "conv" top: "twin" param { name: "w" }'
        " inner_product_param { num_output: 2 } }"
        'layer { name: "more" type: "EuclideanLoss" bottom: "twin" bottom: "y" top: "more" }'
    )
    (tmp_path / "net.prototxt").write_text(net % "ip" + twin)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    caffe.run("caffe", "train", "-solver", "solver.prototxt", cwd=tmp_path)
    with pytest.raises(WeightsError, match=r"layer 'twin' lacks its blob 0; .*\.caffemodel"):
        read_weights(tmp_path / "made_iter_3.caffemodel.h5")

    # The net knows what was left out, so the snapshot can be gone on from.
    monkeypatch.chdir(tmp_path)
    ours, _ = solve_ours(Path("solver.prototxt"), iterations=0, snapshot=Path("made_iter_3.solverstate.h5"))
    (tmp_path / "solver.prototxt").write_text(SOLVER.replace("HDF5", "BINARYPROTO"))
    caffe.run("caffe", "train", "-solver", "solver.prototxt", cwd=tmp_path)
    binary = Solved.read("made_iter_3.caffemodel", "made_iter_3.solverstate")
    assert set(binary.weights) == {"conv", "norm", "ip", "twin"}
    assert len(binary.history) == 8
    apart = Solved.of(ours).apart_from(binary)
    assert (apart.weights, apart.history) == (0, 0)
