"""LRN across channels against torch's own, which computes the same by another way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.layer_battery import Case


@pytest.mark.parametrize("size", [1, 3, 5, 7, 11])
@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_value_and_gradient_are_those_of_torch(size, channels):
    case = Case(
        id="lrn",
        prototxt=f'type: "LRN" lrn_param {{ local_size: {size} alpha: 0.5 beta: 0.75 k: 1.5 }}',
        bottoms=[(2, channels, 3, 5)],
        oracle=lambda *_: (),
    )
    x = torch.from_numpy(case.values()[0]).double().requires_grad_()
    found = case.module(double=True)(x)
    assert isinstance(found, torch.Tensor)
    expected = torch.nn.functional.local_response_norm(x, size, alpha=0.5, beta=0.75, k=1.5)
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-12)
    seed = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = [torch.autograd.grad(top, x, seed)[0].numpy() for top in (found, expected)]
    np.testing.assert_allclose(*gradients, rtol=1e-10, atol=1e-12)
