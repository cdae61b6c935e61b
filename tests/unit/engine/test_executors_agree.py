"""The fused and the stepwise executor compute the same outputs and the same gradients."""

from __future__ import annotations

import pytest
import torch

from caffeflow.engine.net import Net
from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.engine.training import FusedExecutor
from tests.support.engine_nets import (
    SMALL,
    batch,
    convolution,
    images,
    inner_product,
    layer,
    net_of,
    softmax_loss,
)

BRANCHES = (
    images(2, 3, 7, 5)
    + convolution("conv1", "data", "conv1", 5, 3, "pad: 1")
    + convolution("left", "conv1", "left", 3, 1)
    + layer("left/relu", "ReLU", "left", "left")
    + convolution("right", "conv1", "right", 3, 3, "pad: 1")
    + inner_product("ip_left", "left", "scores", 5)
    + inner_product("ip_right", "right", "side", 5)
    + layer("aux", "SoftmaxWithLoss", "side label", "aux", "loss_weight: 0.3")
    + softmax_loss("scores")
)
SHARED = (
    images(2, 3, 7, 5)
    + inner_product("a", "data", "a", 7)
    + inner_product("b", "a", "b", 7, 'param { name: "w" } param { name: "b" }')
    + inner_product("c", "b", "c", 7, 'param { name: "w" } param { name: "b" }')
    + inner_product("d", "c", "d", 5, "param { lr_mult: 0 } param { lr_mult: 2 }")
    + softmax_loss("d")
)
CUT = (
    images(2, 3, 7, 5)
    + inner_product("a", "data", "a", 7)
    + inner_product("b", "a", "b", 5, "propagate_down: false")
    + inner_product("c", "a", "c", 5)
    + layer("aux", "SoftmaxWithLoss", "c label", "aux")
    + softmax_loss("b")
)
NETS = {"small": SMALL, "branches": BRANCHES, "shared": SHARED, "cut": CUT}


def gradients(net: Net) -> dict[tuple[str, int], torch.Tensor]:
    return {
        (blob.layer, blob.index): blob.tensors[0].grad.clone()
        for blob in net.learned
        if blob.tensors[0].grad is not None
    }


@pytest.mark.parametrize("text", NETS.values(), ids=NETS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_outputs_and_gradients(text: str, channels_last: bool) -> None:
    fused, stepwise = net_of(text), net_of(text)
    fast, slow = FusedExecutor(fused, channels_last=channels_last), StepwiseExecutor(stepwise)
    for seed in (1, 2):  # twice: gradients add up, running sums go on
        feeds = batch(fused, seed=seed)
        got, wanted = fast.forward(feeds), slow.forward(feeds)
        assert list(got.outputs) == list(wanted.outputs) != []
        torch.testing.assert_close(got.loss, wanted.loss, rtol=1e-5, atol=1e-6)
        for blob, value in wanted.outputs.items():
            torch.testing.assert_close(got.outputs[blob], value, rtol=1e-5, atol=1e-6)
        fast.backward()
        slow.backward()
    ours, theirs = gradients(fused), gradients(stepwise)
    assert list(ours) == list(theirs) != []
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-4, atol=1e-6, msg=str(key))
    for mine, other in zip(fused.arrays(), stepwise.arrays(), strict=True):
        for left, right in zip(mine.arrays, other.arrays, strict=True):
            torch.testing.assert_close(torch.from_numpy(left), torch.from_numpy(right), rtol=1e-5, atol=1e-6)
