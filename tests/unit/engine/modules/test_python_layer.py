"""Python layers in both executors."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from caffeflow import pycaffe
from caffeflow.engine.net import Net
from caffeflow.engine.python_layers import allowed
from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.engine.training import FusedExecutor
from caffeflow.errors import UnsupportedLayerError
from tests.support.engine_nets import net_of
from tests.support.pycaffe_nets import PYTHON_NET, SCRIPTS


@pytest.fixture(autouse=True)
def user_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "caffe", pycaffe)
    monkeypatch.syspath_prepend(SCRIPTS)
    monkeypatch.delitem(sys.modules, "layers_of_users", raising=False)


def gradients(net: Net) -> list[torch.Tensor]:
    found = [blob.tensors[0].grad for blob in net.learned]
    assert all(grad is not None for grad in found)
    return [grad.clone() for grad in found if grad is not None]


def test_both_executors_agree_with_numpy() -> None:
    made = []
    for kind in (StepwiseExecutor, FusedExecutor):
        with allowed():
            net = net_of(PYTHON_NET)
        executor = kind(net)
        for _ in range(2):  # gradients add up, and the data go on
            result = executor.forward({})
            executor.backward()
        made.append((net, float(result.loss), gradients(net)))
    (net, stepwise_loss, stepwise), (_, fused_loss, fused) = made
    assert stepwise_loss == pytest.approx(fused_loss, rel=1e-6)
    for ours, theirs in zip(stepwise, fused, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    blobs = {layer.name: [tensor.detach().numpy() for tensor in layer.tensors] for layer in net.layers}
    waves = np.sin(2 + np.arange(15)).reshape(5, 3)
    hidden = waves @ blobs["hidden"][0].T + blobs["hidden"][1] + blobs["offset"][0]
    out = 2.5 * np.tanh(hidden) @ blobs["out"][0].T + blobs["out"][1]
    assert stepwise_loss == pytest.approx(0.7 * ((out - waves) ** 2).sum() / 5 / 2, rel=1e-5)


def test_a_net_in_the_test_phase_runs_without_gradients() -> None:
    with allowed():
        net = net_of(PYTHON_NET, phase="TEST")
    assert float(FusedExecutor(net).forward({}).loss) > 0
    assert net.layers[0].facts.params.running.user.phase == 1


def test_without_leave_they_are_refused_and_not_imported() -> None:
    with pytest.raises(UnsupportedLayerError, match=r"layer 'waves': is a Python layer.*'Waves'.*--allow"):
        net_of(PYTHON_NET)
    assert "layers_of_users" not in sys.modules
