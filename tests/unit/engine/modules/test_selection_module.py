"""Rows chosen by values: numbers outside are named, and both executors take what is left, even nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.engine.training import FusedExecutor
from caffeflow.errors import DataError
from tests.support.engine_nets import inner_product, layer, net_of
from tests.support.layer_battery import Case, run
from tests.support.onnx_nets import images

NET = (
    images(7, 3)
    + images(7, name="chosen")
    + inner_product("ip", "data", "ip", 5)
    + layer("filter", "Filter", "ip chosen", "kept")
    + inner_product("last", "kept", "last", 2)
    + layer("loss", "Reduction", "last", "loss", "reduction_param { operation: SUMSQ } loss_weight: 1")
)


@pytest.mark.parametrize(
    ("prototxt", "values"),
    [
        ('type: "BatchReindex"', [np.zeros((3, 2)), np.array([0.0, 3])]),
        ('type: "BatchReindex"', [np.zeros((3, 2)), np.array([0.0, -1])]),
        ('type: "Embed" embed_param { input_dim: 3 num_output: 2 }', [np.array([3.0, 1])]),
    ],
)
def test_a_number_outside_is_named(prototxt: str, values: list[np.ndarray]) -> None:
    case = Case(id="outside", prototxt=prototxt, bottoms=values, oracle=lambda *_: ())
    with pytest.raises(DataError, match=r"layer 'layer': the value (3|-1) is not among .*\(0 to 2\)"):
        run(case.module(), case.values())


@pytest.mark.parametrize("chosen", [[0, 1, 1, 0, 2, 0, 0], [0] * 7, [1] * 7])
def test_both_executors_take_the_rows_that_are_left(chosen: list[int]) -> None:
    fused, stepwise = net_of(NET), net_of(NET)
    fast, slow = FusedExecutor(fused, keep=["kept"]), StepwiseExecutor(stepwise)
    values = torch.arange(21.0).reshape(7, 3) / 7
    feeds = {"data": (values,), "chosen": (torch.tensor(chosen, dtype=torch.float32),)}
    got = fast.forward(feeds)
    slow.forward(feeds)
    rows = sum(value != 0 for value in chosen)
    assert got.outputs["kept"].shape == slow.data["kept"].shape == (rows, 5)
    torch.testing.assert_close(got.outputs["kept"], slow.data["kept"])
    fast.backward()
    slow.backward()
    for ours, theirs in zip(fused.learned, stepwise.learned, strict=True):
        assert ours.tensors[0].grad is not None
        torch.testing.assert_close(ours.tensors[0].grad, theirs.tensors[0].grad)
        assert bool(ours.tensors[0].grad.any()) == (rows > 0)
