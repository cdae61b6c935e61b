"""Dropout in TRAIN: which elements survive is chance, what becomes of them is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.layer_battery import SEED, Case


def module_of(ratio, phase="TRAIN"):
    case = Case(
        id="dropout",
        prototxt=f'type: "Dropout" dropout_param {{ dropout_ratio: {ratio} }}',
        bottoms=[(101, 103)],
        oracle=lambda *_: (),
        phase=phase,
    )
    return case.module()


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_survivors_grow_and_their_share_is_one_minus_the_ratio(ratio):
    x = torch.full((101, 103), 3.0)
    top = module_of(ratio)(x)
    assert isinstance(top, torch.Tensor)
    assert sorted(top.unique().tolist()) == [0, 3 / (1 - ratio)]
    assert (top > 0).float().mean().item() == pytest.approx(1 - ratio, abs=0.02)


def test_the_gradient_goes_through_the_same_mask():
    x = torch.ones(101, 103, requires_grad=True)
    top = module_of(0.5)(x)
    assert isinstance(top, torch.Tensor)
    top.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, top.detach())


def test_masks_come_from_the_nets_generator():
    x = torch.ones(101, 103)
    first, second = module_of(0.5), module_of(0.5)
    torch.manual_seed(1)
    one, next_one = first(x), first(x)
    torch.manual_seed(2)
    other = second(x)
    assert torch.equal(one, other)
    assert not torch.equal(one, next_one)
    second.generator.manual_seed(SEED)
    assert torch.equal(second(x), one)


def test_the_default_ratio_is_one_half_and_test_leaves_all():
    x = torch.from_numpy(np.linspace(-1, 1, 101 * 103, dtype=np.float32).reshape(101, 103))
    assert torch.equal(module_of(0.5, "TEST")(x), x)
