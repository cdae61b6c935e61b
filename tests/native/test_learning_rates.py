"""Every learning-rate policy prints the rates that the real Caffe prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.engine.policies import LearningRate
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.text import parse
from tests.support.native import NativeCaffe
from tests.support.native_training import train, write_solver

pytestmark = pytest.mark.native

ITERATIONS = 24
NET = """name: "line"
layer { name: "data" type: "DummyData" top: "x" top: "y" dummy_data_param {
  shape { dim: 2 dim: 3 } shape { dim: 2 dim: 1 } data_filler { value: 1 } data_filler { value: 2 } } }
layer { name: "line" type: "InnerProduct" bottom: "x" top: "line" inner_product_param { num_output: 1 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "line" bottom: "y" top: "loss" }
"""
POLICIES = {
    "fixed": "",
    "step": "gamma: 0.3 stepsize: 5",
    "exp": "gamma: 0.97",
    "inv": "gamma: 0.01 power: 0.75",
    "multistep": "gamma: 0.1 stepvalue: 3 stepvalue: 3 stepvalue: 7 stepvalue: 19",
    "poly": "power: 0.9",
    "sigmoid": "gamma: 0.3 stepsize: 11",
}


@pytest.mark.parametrize("policy", POLICIES)
def test_rates_are_those_of_caffe(caffe: NativeCaffe, tmp_path: Path, policy: str) -> None:
    fields = f'lr_policy: "{policy}" {POLICIES[policy]} base_lr: 0.0123457 display: 1 max_iter: {ITERATIONS}'
    net = tmp_path / "net.prototxt"
    net.write_text(NET)
    solver = write_solver(tmp_path / "solver.prototxt", net=net, fields=fields)
    expected = train(caffe, solver).rates
    rate = LearningRate(parse(fields, SolverParameter(), source="test"))
    assert {n: f"{rate.at(n).value:g}" for n in range(ITERATIONS)} == expected
