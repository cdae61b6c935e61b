"""Nets whose graph is unusual take Caffe's steps: shared weights, several losses, cut gradients, BatchNorm.

From every snapshot of the real Caffe one iteration of ours, as in the forced steps; so the order of the
learned blobs in a solverstate, their multipliers and the way gradients add up are compared as well.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.native import NativeCaffe, Report
from tests.support.native_forced import ForcedRun
from tests.support.native_nets import make_digits
from tests.support.native_training import train, write_solver

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("one_thread")]

STEPS = 10
LOSS_BOUND = 1e-5
UPDATE_BOUND = 1e-4
FIELDS = f'base_lr: 0.01 momentum: 0.9 weight_decay: 0.01 lr_policy: "fixed" display: 1 snapshot: 1 max_iter: {STEPS + 1}'

DATA = """layer {{ name: "data" type: "Data" top: "data" top: "label" transform_param {{ scale: 0.0078125 mean_value: 60 }}
  data_param {{ source: "{dataset}/train_lmdb" batch_size: 32 backend: LMDB }} }}
"""
XAVIER = 'weight_filler { type: "xavier" }'


def inner(name: str, bottom: str, outputs: int, more: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" {more}'
        f" inner_product_param {{ num_output: {outputs} {XAVIER} }} }}\n"
    )


def layer(name: str, type_: str, bottoms: str, more: str = "", top: str = "") -> str:
    given = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{name}" type: "{type_}" {given} top: "{top or name}" {more} }}\n'


NETS = {
    # The second use gives multipliers that the owner leaves out; gradients of both uses add up.
    "shared weights": inner("left", "data", 30, 'param { name: "w" } param { name: "b" lr_mult: 2 decay_mult: 0 }')
    + layer("left_tanh", "TanH", "left")
    + layer("halved", "Power", "data", "power_param { scale: 0.5 }")
    + inner("right", "halved", 30, 'param { name: "w" lr_mult: 0.5 } param { name: "b" }')
    + layer("right_tanh", "TanH", "right")
    + layer("both", "Concat", "left_tanh right_tanh")
    + inner("ip", "both", 10)
    + layer("loss", "SoftmaxWithLoss", "ip label"),
    "several losses": inner("hidden", "data", 30)
    + layer("tanh", "TanH", "hidden")
    + inner("ip", "tanh", 10)
    + inner("other", "hidden", 10)
    + layer("loss", "SoftmaxWithLoss", "ip label")
    + layer("loss2", "SoftmaxWithLoss", "other label", "loss_weight: 0.3")
    + layer("size", "Reduction", "tanh", "loss_weight: 0.01 reduction_param { operation: SUMSQ }"),
    "cut and frozen": inner("first", "data", 30, "param { lr_mult: 0 } param { lr_mult: 0 }")
    + layer("tanh", "TanH", "first")
    + inner("second", "tanh", 20)
    + layer("tanh2", "TanH", "second", top="second")
    + inner("cut", "second", 15, "propagate_down: false")
    + layer("tanh3", "TanH", "cut", top="cut")
    + layer("both", "Concat", "second cut")
    + inner("ip", "both", 10)
    + layer("loss", "SoftmaxWithLoss", "ip label"),
    "batch norm in place": layer(
        "conv", "Convolution", "data",
        f"convolution_param {{ num_output: 7 kernel_size: 5 stride: 2 bias_term: false {XAVIER} }}",
    )
    + layer("bn", "BatchNorm", "conv", top="conv")
    + layer("scale", "Scale", "conv", "scale_param { bias_term: true }", top="conv")
    + layer("tanh", "TanH", "conv", top="conv")
    + layer("pool", "Pooling", "conv", "pooling_param { pool: AVE global_pooling: true }")
    + inner("ip", "pool", 10)
    + layer("loss", "SoftmaxWithLoss", "ip label"),
    "residual": layer(
        "conv1", "Convolution", "data", f"convolution_param {{ num_output: 6 kernel_size: 5 stride: 3 {XAVIER} }}"
    )
    + layer("tanh1", "TanH", "conv1", top="conv1")
    + layer("conv2", "Convolution", "conv1", f"convolution_param {{ num_output: 6 kernel_size: 3 pad: 1 group: 2 {XAVIER} }}")
    + layer("sum", "Eltwise", "conv1 conv2", "eltwise_param { coeff: 1 coeff: 0.7 }")
    + layer("lrn", "LRN", "sum", "lrn_param { local_size: 3 alpha: 0.5 }")
    + inner("ip", "lrn", 10)
    + layer("loss", "SoftmaxWithLoss", "ip label"),
}  # fmt: skip


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_digits(tmp_path_factory.mktemp("digits"))


@pytest.mark.parametrize("name", NETS)
def test_steps(caffe: NativeCaffe, digits: Path, tmp_path: Path, report: Report, name: str) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(f'name: "odd"\n{DATA.format(dataset=digits)}{NETS[name]}')
    solver = write_solver(tmp_path / "solver.prototxt", net=net, fields=FIELDS)
    steps = list(ForcedRun(caffe, train(caffe, solver), bound=UPDATE_BOUND).steps(STEPS))
    assert len(steps) == STEPS
    assert all(step.without_help is None for step in steps), "these nets have no decisions that could flip"
    loss, update = max(step.loss for step in steps), max(step.worst_update for step in steps)
    report(f"odd net: {name}", f"{STEPS} steps: loss within {loss:.1e}, updates within {update:.1e}")
    assert loss <= LOSS_BOUND
    assert update <= UPDATE_BOUND
