"""Every update rule and gradient option takes the steps that the real Caffe takes, from its snapshots."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.native import NativeCaffe, Report
from tests.support.native_forced import ForcedRun
from tests.support.native_nets import SMOOTH_NET, make_digits
from tests.support.native_training import train, write_solver

pytestmark = pytest.mark.native

STEPS = 12
LOSS_BOUND = 1e-5
UPDATE_BOUND = 1e-4
COMMON = 'lr_policy: "step" gamma: 0.5 stepsize: 5 weight_decay: 0.002 display: 1 snapshot: 1 '
RULES = {
    "SGD": "base_lr: 0.01 momentum: 0.9",
    "Nesterov": "base_lr: 0.01 momentum: 0.9",
    "AdaGrad": "base_lr: 0.01",
    "RMSProp": "base_lr: 0.001 rms_decay: 0.98",
    "AdaDelta": "base_lr: 1 momentum: 0.95 delta: 1e-6",
    "Adam": "base_lr: 0.001 momentum: 0.9 momentum2: 0.999",
}
OPTIONS = {
    "clipped": "clip_gradients: 0.5",
    "two batches a step": "iter_size: 2",
    "clipped, three batches a step": "clip_gradients: 0.5 iter_size: 3",
    "L1": 'regularization_type: "L1"',
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smooth")
    path = folder / "net.prototxt"
    path.write_text(SMOOTH_NET.format(dataset=make_digits(folder)))
    return path


def check(caffe: NativeCaffe, net: Path, folder: Path, fields: str, name: str, report: Report) -> None:
    fields = f"{COMMON} max_iter: {STEPS + 1} {fields}"
    solver = write_solver(folder / "solver.prototxt", net=net, fields=fields)
    trajectory = train(caffe, solver)
    assert ("Gradient clipping" in trajectory.log) == ("clip" in fields)
    steps = list(ForcedRun(caffe, trajectory, bound=UPDATE_BOUND).steps(STEPS))
    assert len(steps) == STEPS
    assert all(step.without_help is None for step in steps), "this net has no decisions that could flip"
    loss, update = max(step.loss for step in steps), max(step.worst_update for step in steps)
    report(f"update rule: {name}", f"{STEPS} steps: loss within {loss:.1e}, updates within {update:.1e}")
    assert loss <= LOSS_BOUND
    assert update <= UPDATE_BOUND


@pytest.mark.parametrize("rule", RULES)
def test_rule(caffe: NativeCaffe, net: Path, tmp_path: Path, report: Report, rule: str) -> None:
    check(caffe, net, tmp_path, f'type: "{rule}" {RULES[rule]}', rule, report)


@pytest.mark.parametrize("option", OPTIONS)
def test_option(caffe: NativeCaffe, net: Path, tmp_path: Path, report: Report, option: str) -> None:
    check(caffe, net, tmp_path, f"{RULES['SGD']} {OPTIONS[option]}", f"SGD, {option}", report)
