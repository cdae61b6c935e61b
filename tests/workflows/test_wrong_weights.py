"""Weights that a user names by mistake are a line with the layer, the file and the way to the whole table."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.proto.binary import LayerArrays, write_caffemodel
from caffeflow.weights.formats import read_weights, write_weights

TRAIN = """
layer { name: "data" type: "DummyData" top: "x" top: "y" dummy_data_param {
  shape { dim: 2 dim: 3 } shape { dim: 2 dim: 2 } data_filler { type: "gaussian" } data_filler { type: "gaussian" } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "out" type: "InnerProduct" bottom: "ip" top: "out"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "out" bottom: "y" top: "loss" }
"""
SOLVER = 'net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 1 snapshot_prefix: "made" solver_mode: CPU'


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> None:
    Path("net.prototxt").write_text(TRAIN)
    Path("solver.prototxt").write_text(SOLVER)


def train(weights: str) -> int:
    return run(["train", "--solver", "solver.prototxt", "--weights", weights, "--out", "run"])


def layer(name: str, *shapes: tuple[int, ...]) -> LayerArrays:
    return LayerArrays(name, "InnerProduct", (), (), tuple(np.ones(shape, np.float32) for shape in shapes))


def wrong(capsys: pytest.CaptureFixture[str], command: list[str], *layers: LayerArrays) -> str:
    write_caffemodel("w.caffemodel", name="w", layers=layers)
    assert run(command) == 6
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    return error


TRAINING = ["train", "--solver", "solver.prototxt", "--weights", "w.caffemodel", "--out", "run"]
TIMING = ["time", "net.prototxt", "--weights", "w.caffemodel", "--iterations", "1"]


@pytest.mark.parametrize("command", [TRAINING, TIMING], ids=lambda words: words[0])
def test_layers_that_do_not_fit_are_counted(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    error = wrong(capsys, command, layer("ip", (7, 3), (7,)), layer("out", (2, 7), (2,)))
    assert "w.caffemodel: layer 'ip': blob 0 is 7 3 (21) in the file and 5 3 (15) in the net" in error
    assert "so it is with 1 more" in error
    assert "caffeflow weights diff w.caffemodel net.prototxt" in error


@pytest.mark.parametrize("command", [TRAINING, TIMING], ids=lambda words: words[0])
def test_nothing_in_common_is_no_beginning(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    error = wrong(capsys, command, layer("fc6", (7, 3), (7,)))
    assert "weights of another net" in error
    assert "caffeflow weights diff w.caffemodel net.prototxt" in error


def test_nan_is_named_by_layer(capsys: pytest.CaptureFixture[str]) -> None:
    bad = layer("out", (2, 5), (2,))
    bad.arrays[0][1, 2] = math.nan
    assert "nan or infinite in layer 'out'" in wrong(capsys, TRAINING, layer("ip", (5, 3), (5,)), bad)


@pytest.mark.parametrize("ending", ["caffemodel.h5", "npz", "safetensors"])
def test_every_format_of_weights_begins_a_training(ending: str) -> None:
    assert run(["weights", "init", "net.prototxt", "--seed", "3", "--out", "w.caffemodel"]) == 0
    write_weights(f"w.{ending}", name="w", layers=read_weights("w.caffemodel"))
    assert train(f"w.{ending}") == 0
    begun, made = (
        {layer.name: layer.arrays for layer in read_weights(name) if layer.arrays}
        for name in ("w.caffemodel", "made_iter_1.caffemodel")
    )
    assert begun.keys() == made.keys() == {"ip", "out"}
    for name, arrays in begun.items():
        for before, after in zip(arrays, made[name], strict=True):
            np.testing.assert_allclose(after, before, atol=0.1)
