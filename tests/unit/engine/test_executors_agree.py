"""The fused and the stepwise executor compute the same outputs and the same gradients."""

from __future__ import annotations

import pytest
import torch

from caffeflow.engine.net import Net
from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.engine.training import FusedExecutor
from tests.support.engine_nets import (
    MSRA,
    SMALL,
    batch,
    convolution,
    images,
    inner_product,
    layer,
    net_of,
    norm,
    pooling,
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
NORMED = (
    images(3, 2, 11, 7)
    + convolution("conv1", "data", "conv1", 7, 3, "bias_term: false")
    + norm("n1", "conv1", "conv1")
    + layer("relu1", "ReLU", "conv1", "conv1")
    + convolution("conv2", "conv1", "conv2", 7, 3, "pad: 1 group: 7 bias_term: false")
    + norm("n2", "conv2", "n2", scale_bias=False)
    + layer("sum", "Eltwise", "conv1 n2", "sum")
    + layer("relu2", "ReLU", "sum", "sum")
    + layer("bare", "BatchNorm", "sum", "bare", "batch_norm_param { moving_average_fraction: 0.9 }")
    + layer("relu6", "ReLU6", "bare", "bare")
    + layer("frozen", "BatchNorm", "bare", "frozen", "batch_norm_param { use_global_stats: true eps: 1 }")
    + inner_product("ip", "frozen", "scores", 5)
    + softmax_loss("scores")
)
READ_TWICE = (  # nothing may be fused over a value that others read
    images(3, 2, 11, 7)
    + convolution("conv1", "data", "conv1", 7, 3)
    + layer("bn", "BatchNorm", "conv1", "bn")
    + layer("scale", "Scale", "bn", "scale", "scale_param { bias_term: true }")
    + layer("relu", "ReLU", "scale", "relu")
    + layer(
        "sum",
        "Eltwise",
        "conv1 bn scale relu",
        "sum",
        "eltwise_param { coeff: 1 coeff: 2 coeff: -1 coeff: 3 }",
    )
    + inner_product("ip", "sum", "scores", 5)
    + softmax_loss("scores")
)
SLOPED = (
    images(2, 3, 7, 5)
    + inner_product("a", "data", "a", 7)
    + layer("leaky", "ReLU", "a", "a", "relu_param { negative_slope: 0.1 }")
    + layer("tanh", "TanH", "a", "a")
    + layer("relu", "ReLU", "a", "a")  # over a top that TanH's gradient looks at
    + layer("power", "Power", "a", "b", "power_param { power: 2 shift: 0.5 }")
    + inner_product("c", "b", "c", 5)
    + layer("weighed", "Reduction", "c", "weighed", "reduction_param { operation: SUMSQ } loss_weight: 0.01")
    + softmax_loss("c", "loss_weight: 2")
)
CHOSEN = (  # rows chosen by labels, a learned blob as a bottom, losses of single labels
    images(7, 3, 11, 5)
    + layer("mvn", "MVN", "data", "mvn")
    + layer("windows", "Im2col", "mvn", "windows", "convolution_param { kernel_size: 2 }")
    + convolution("conv1", "windows", "conv1", 5, 1)
    + pooling("pool1", "conv1", "pool1")
    + layer("crop", "Crop", "conv1 pool1", "crop", "crop_param { offset: 3 offset: 1 }")
    + layer("spp", "SPP", "crop", "spp", "spp_param { pyramid_height: 2 }")
    + layer("learned", "Parameter", "", "learned", "parameter_param { shape { dim: 25 } }")
    + layer("shift", "Bias", "spp learned", "shift", "bias_param { axis: 1 }")
    + layer("again", "BatchReindex", "shift label", "again")
    + layer("filter", "Filter", "again label label", "kept kept_label")
    + inner_product("scores", "kept", "scores", 5)
    + layer("hinge", "HingeLoss", "scores kept_label", "hinge")
    + inner_product("vectors", "shift", "vectors", 6)
    + layer("words", "Embed", "label", "words", f"embed_param {{ input_dim: 5 num_output: 3 {MSRA} }}")
    + layer("tile", "Tile", "words", "tile", "tile_param { tiles: 2 }")
    + layer("contrast", "ContrastiveLoss", "vectors tile label", "contrast", "loss_weight: 0.5")
)
NETS = {
    "chosen": CHOSEN,
    "normed": NORMED,
    "read twice": READ_TWICE,
    "sloped": SLOPED,
    "small": SMALL,
    "branches": BRANCHES,
    "shared": SHARED,
    "cut": CUT,
}


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
        bound = 1e-5 * float(value.abs().max())
        torch.testing.assert_close(ours[key], value, rtol=1e-5, atol=bound, msg=lambda m, k=key: f"{k}: {m}")
    for mine, other in zip(fused.arrays(), stepwise.arrays(), strict=True):
        for left, right in zip(mine.arrays, other.arrays, strict=True):
            torch.testing.assert_close(torch.from_numpy(left), torch.from_numpy(right), rtol=1e-5, atol=1e-6)
