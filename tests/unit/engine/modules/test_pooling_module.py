"""Pooling over a sweep of sizes, kernels, strides and pads, also where torch's own kernels disagree with Caffe."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from tests.support.layer_battery import SEED, Case, assert_arrays_equal, run
from tests.support.oracles.pooling import LOWEST, average, drawn, maximum

SIZES = [(7, 5), (6, 7), (3, 11)]
KERNELS = [(1, 2), (2, 3), (3, 3), (3, 1)]
STRIDES = [(1, 2), (2, 1), (3, 2)]
PADS = [(0, 0), (0, 1), (1, 0), (2, 2)]
SWEEP = [
    (size, kernel, stride, pad)
    for size, kernel, stride, pad in product(SIZES, KERNELS, STRIDES, PADS)
    if all(p < k for p, k in zip(pad, kernel, strict=True))
]


def case(method, size, kernel, stride, pad, *, floor, tops=1):
    settings = (
        f"pool: {method} kernel_h: {kernel[0]} kernel_w: {kernel[1]} stride_h: {stride[0]} stride_w: {stride[1]}"
        f" pad_h: {pad[0]} pad_w: {pad[1]} round_mode: {'FLOOR' if floor else 'CEIL'}"
    )
    return Case(
        id="sweep",
        prototxt=f'type: "Pooling" pooling_param {{ {settings} }}',
        bottoms=[(2, 3, *size)],
        oracle=lambda *_: (),
        tops=tops,
    )


def test_the_sweep_is_whole():
    assert len(SWEEP) == 99


@pytest.mark.parametrize("floor", [False, True], ids=["ceil", "floor"])
@pytest.mark.parametrize(("size", "kernel", "stride", "pad"), SWEEP)
def test_pooling_equals_loops(size, kernel, stride, pad, floor):
    maxima = case("MAX", size, kernel, stride, pad, floor=floor)
    values = maxima.values()
    settings = {"kernel": kernel, "stride": stride, "pad": pad, "floor": floor}
    expected = maximum(values[0], **settings)
    assert_arrays_equal(run(maxima.module(), values), [expected[0]], tolerance=0)
    places = case("MAX", size, kernel, stride, pad, floor=floor, tops=2)
    assert_arrays_equal(run(places.module(), values), expected, tolerance=0)
    means = case("AVE", size, kernel, stride, pad, floor=floor)
    expected_mean = average(values[0].astype(np.float64), **settings)
    assert_arrays_equal(run(means.module(), values), [expected_mean], tolerance=2e-6)


def test_a_window_beyond_the_image_is_the_lowest_float_or_nothing_over_its_area():
    # Stride 4 with a kernel of 1 over 6 columns: the third window would begin at 8.
    settings = ((5, 6), (3, 1), (2, 4), (0, 0))
    found = run(case("MAX", *settings, floor=False, tops=2).module(), [np.ones((1, 1, 5, 6))])
    assert found[0].shape == (1, 1, 2, 3)
    assert (found[0][..., 2] == LOWEST).all()
    assert (found[1][..., 2] == -1).all()
    (mean,) = run(case("AVE", *settings, floor=False).module(), [np.ones((1, 1, 5, 6))])
    assert (mean[..., 2] == 0).all()
    assert (mean[..., :2] == 1).all()


def test_the_first_of_equal_maxima_gets_the_gradient():
    module = case("MAX", (3, 5), (3, 5), (1, 1), (0, 0), floor=False).module(double=True)
    x = torch.ones(1, 1, 3, 5, dtype=torch.float64, requires_grad=True)
    top = module(x)
    assert isinstance(top, torch.Tensor)
    top.sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [1.0] + [0.0] * 14


@pytest.mark.parametrize(
    ("row", "k", "s", "p", "expected"),
    [([1, 2, 3, 4], 3, 2, 1, [1, 3, 2]), ([1, 2, 3, 4, 5, 6], 3, 2, 0, [2, 4, 5.5])],
)
def test_averages_of_a_row_count_padding_but_not_what_lies_beyond(row, k, s, p, expected):
    settings = f"pool: AVE kernel_h: 1 kernel_w: {k} stride_h: 1 stride_w: {s} pad_h: 0 pad_w: {p}"
    x = np.array(row, np.float32).reshape(1, 1, 1, -1)
    one = Case(
        id="row",
        prototxt=f'type: "Pooling" pooling_param {{ {settings} }}',
        bottoms=[x],
        oracle=lambda *_: (),
    )
    np.testing.assert_allclose(run(one.module(), [x])[0].ravel(), expected, rtol=1e-6)


def stochastic(bottom, settings="kernel_h: 3 kernel_w: 2 stride: 2", *, phase="TRAIN"):
    return Case(
        id="stochastic",
        prototxt=f'type: "Pooling" pooling_param {{ pool: STOCHASTIC {settings} }}',
        bottoms=[bottom],
        oracle=lambda *_: (),
        phase=phase,
    )


def test_a_drawn_value_is_the_first_that_reaches_its_share_and_gets_the_gradient():
    values = np.random.default_rng(3).uniform(0.25, 2, (2, 3, 8, 7))  # the last windows are partial ones
    case = stochastic(values)
    x = torch.from_numpy(case.values()[0]).double().requires_grad_()
    top = case.module(double=True)(x)
    assert isinstance(top, torch.Tensor)
    generator = torch.Generator().manual_seed(SEED)
    shares = torch.rand(top.shape, dtype=torch.float64, generator=generator).numpy()
    expected, places = drawn(case.values()[0].astype(np.float64), shares, kernel=(3, 2), stride=(2, 2))
    assert_arrays_equal([top.detach()], expected, tolerance=0)
    top.sum().backward()
    assert x.grad is not None
    hits = np.zeros((6, 56))
    for row, chosen in zip(hits, places.reshape(6, -1), strict=True):
        np.add.at(row, chosen, 1)
    np.testing.assert_array_equal(x.grad.numpy().reshape(6, -1), hits)


def test_values_are_drawn_as_often_as_their_share_of_the_sum():
    rows = np.tile([[1.0, 2, 0, 5]], (1, 1, 5003, 1))
    top = stochastic(rows, "kernel_h: 1 kernel_w: 4").module()(torch.from_numpy(rows).float())
    assert isinstance(top, torch.Tensor)
    for value, share in ((0, 0), (1, 1 / 8), (2, 1 / 4), (5, 5 / 8)):
        assert (top == value).float().mean().item() == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_a_window_of_zeros_stays_zero(phase):
    case = stochastic(np.zeros((2, 3, 5, 7)), phase=phase)
    x = torch.zeros(2, 3, 5, 7, requires_grad=True)
    top = case.module()(x)
    assert isinstance(top, torch.Tensor)
    assert not top.any()
    top.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_shares_are_of_single_precision_sums(phase):
    case = stochastic(np.zeros((2, 3, 64, 65)), "global_pooling: true", phase=phase)
    x = torch.rand(2, 3, 64, 65, generator=torch.Generator().manual_seed(SEED)).bfloat16()
    half, single = case.module()(x), case.module()(x.float())
    assert isinstance(half, torch.Tensor)
    assert isinstance(single, torch.Tensor)
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, single.bfloat16())
