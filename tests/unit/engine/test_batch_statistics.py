"""Statistics and gradients of channels_last batches keep the digits that torch's own batch_norm loses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffeflow.engine.batch_statistics import batch_statistics, loses_digits, normalise_batch

EPS = 1e-5
SHAPES = [(7, 3, 61, 53), (2, 331, 13, 11), (5, 2, 3, 7)]  # many pieces; a few; one


def batch(shape: tuple[int, ...]) -> torch.Tensor:
    values = np.random.default_rng(5).standard_normal(shape) * 2 + 3
    return torch.from_numpy(values.astype(np.float32)).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", SHAPES)
def test_statistics_to_the_last_digits(shape: tuple[int, ...]) -> None:
    x = batch(shape)
    exact = x.numpy().astype(np.float64)
    mean, variance = batch_statistics(x)
    np.testing.assert_allclose(mean.numpy(), exact.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(variance.numpy(), exact.var((0, 2, 3)), rtol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("is_scaled", [True, False])
def test_top_and_gradients_are_those_of_double_precision(shape: tuple[int, ...], is_scaled: bool) -> None:
    x = batch(shape).requires_grad_()
    channels = shape[1]
    random = np.random.default_rng(6)
    given = [
        torch.from_numpy(random.standard_normal(channels).astype(np.float32)).requires_grad_() for _ in "sb"
    ]
    scale, bias = given if is_scaled else (None, None)
    top_diff = torch.from_numpy(random.standard_normal(shape).astype(np.float32))
    top, _, _ = normalise_batch(x, scale, bias, eps=EPS)
    top.backward(top_diff)

    inputs = [x, *given] if is_scaled else [x]
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    weights = exact[1:] if is_scaled else [None, None]
    expected = torch.nn.functional.batch_norm(exact[0], None, None, *weights, training=True, eps=EPS)
    expected.backward(top_diff.double())
    for ours, theirs in [(top, expected), *((a.grad, b.grad) for a, b in zip(inputs, exact, strict=True))]:
        bound = 3e-6 * float(theirs.detach().abs().max())
        assert float((ours - theirs).detach().abs().max()) <= bound


def test_only_channels_last_floats_on_the_cpu_need_it() -> None:
    x = batch((2, 3, 5, 7))
    assert loses_digits(x)
    assert not loses_digits(x.contiguous())
    assert not loses_digits(x.double())
    assert not loses_digits(x.to("meta"))
    assert not loses_digits(x[:, :, 0, 0])
