"""The real Caffe computes the same with a folded net as with the one it was folded from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caffeflow.cli.main import run
from caffeflow.proto.text import read_net
from tests.support.native import NativeCaffe, Report

pytestmark = pytest.mark.native

NET = """
name: "folds"
layer { name: "data" type: "DummyData" top: "x" top: "y" dummy_data_param {
  shape { dim: 2 dim: 6 dim: 11 dim: 7 } shape { dim: 2 dim: 3 }
  data_filler { type: "constant" value: 0.5 } data_filler { type: "constant" value: 0.25 } } }
layer { name: "first" type: "BatchNorm" bottom: "x" top: "first" }
layer { name: "conv" type: "Convolution" bottom: "first" top: "conv" convolution_param {
  num_output: 10 kernel_size: 3 group: 2 bias_term: false weight_filler { type: "msra" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" batch_norm_param { eps: 0.003 } }
layer { name: "scale" type: "Scale" bottom: "bn" top: "scale" scale_param {
  filler { type: "uniform" min: 0.5 max: 2 } bias_term: true bias_filler { type: "gaussian" std: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "scale" top: "scale" }
layer { name: "up" type: "Deconvolution" bottom: "scale" top: "up" convolution_param {
  num_output: 4 kernel_size: 2 stride: 2 weight_filler { type: "msra" } } }
layer { name: "up/bn" type: "BatchNorm" bottom: "up" top: "up" }
layer { name: "ip" type: "InnerProduct" bottom: "up" top: "ip" inner_product_param {
  num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "gain" type: "Scale" bottom: "ip" top: "gain" scale_param { filler { type: "constant" value: 1.5 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "gain" bottom: "y" top: "loss" }
"""


def loss(caffe: NativeCaffe, folder: Path, name: str) -> float:
    words = ("-model", f"{name}.prototxt", "-weights", f"{name}.caffemodel", "-iterations", "1")
    return float(re.findall(r"loss = ([-+.\de]+)", caffe.run("caffe", "test", *words, cwd=folder))[-1])


def test_a_folded_net_has_the_same_loss(caffe: NativeCaffe, report: Report, tmp_path: Path) -> None:
    Path("net.prototxt").write_text(NET)
    assert run(["weights", "init", "net.prototxt", "--calibrate", "--out", "net.caffemodel"]) == 0
    assert run(["weights", "fold-bn", "net.prototxt", "net.caffemodel", "--out", "folded"]) == 0
    kept = [layer.type for layer in read_net("folded.prototxt").net.layer]
    assert kept == ["DummyData", "Convolution", "ReLU", "Deconvolution", "InnerProduct", "EuclideanLoss"]
    before, after = (loss(caffe, tmp_path, name) for name in ("net", "folded"))
    report("loss of a folded net", f"{before:.6g} before, {after:.6g} after")
    assert before > 0.1
    assert after == pytest.approx(before, rel=2e-5)
