"""Normalize's factors: their gradient is the derivative, whatever the bottom's is."""

from __future__ import annotations

import pytest
import torch

from caffeflow.engine.modules.registry import LayerModule
from tests.support.engine_nets import layer, net_of


def normalize(settings: str) -> LayerModule:
    text = layer("in", "Input", "", "x", "input_param { shape { dim: 2 dim: 3 dim: 5 dim: 7 } }")
    return (
        net_of(text + layer("n", "Normalize", "x", "y", f"norm_param {{ {settings} }}"))
        .layers[-1]
        .module.double()
    )


@pytest.mark.parametrize("across", ["true", "false"])
@pytest.mark.parametrize("shared", ["true", "false"])
def test_the_factors_gradient(across, shared):
    module = normalize(f"across_spatial: {across} channel_shared: {shared} eps: 0.1")
    x = torch.randn(2, 3, 5, 7, dtype=torch.float64, requires_grad=shared == "true")
    # With factors for each channel the bottom's is Caffe's, which the battery compares with loops.
    torch.autograd.gradcheck(lambda *_: module(x), (x, module.scale) if x.requires_grad else (module.scale,))


def test_the_factors_begin_at_the_filler_or_at_1():
    assert normalize("").scale.item() == 1
    filled = normalize('channel_shared: false scale_filler { type: "constant" value: 20 }').scale
    assert filled.tolist() == [20, 20, 20]


def test_half_precision_comes_back_as_half_precision_with_exact_lengths():
    module = normalize("").float()
    x = torch.full((1, 3, 5, 7), 300.0)  # its sum of squares is beyond float16's range
    assert module(x.half()).dtype == torch.float16
    torch.testing.assert_close(module(x.half()).float(), module(x), rtol=1e-3, atol=0)
