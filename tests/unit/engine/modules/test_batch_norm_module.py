"""What BatchNorm keeps: the three sums of a caffemodel, by Caffe's formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.layer_battery import Case, run
from tests.support.oracles import batch_norm as oracle
from tests.support.oracles import scale_bias

SHAPE = (2, 3, 5, 7)
STORED = [np.array([0.5, -2.0, 5.0]), np.array([1.5, 0.25, 11.0]), np.array([1.5])]


def case(settings="", *, phase="TRAIN", bottom=SHAPE, blobs=None):
    channels = np.shape(bottom)[1] if isinstance(bottom, np.ndarray) else bottom[1]
    zeros = [np.zeros(channels), np.zeros(channels), np.zeros(1)]
    return Case(
        id="batch norm",
        prototxt=f'type: "BatchNorm" batch_norm_param {{ {settings} }}',
        bottoms=[bottom],
        oracle=lambda *_: (),
        phase=phase,
        blobs=zeros if blobs is None else blobs,
    )


def blobs_of(module):
    return [blob.numpy().astype(np.float64) for blob in module.learned]


def test_two_batches_by_hand():
    module = case(bottom=(2, 1)).module(double=True)
    (first,) = run(module, [np.array([[1.0], [3.0]])], double=True)
    np.testing.assert_allclose(first.ravel(), [-0.999995, 0.999995], atol=1e-9)
    np.testing.assert_allclose(np.concatenate(blobs_of(module)), [2, 2, 1], rtol=1e-7)
    (second,) = run(module, [np.array([[2.0], [6.0]])], double=True)
    np.testing.assert_allclose(second.ravel(), [-0.99999875, 0.99999875], atol=1e-9)
    # moving_average_fraction is a float32: 0.999 to seven digits.
    np.testing.assert_allclose(np.concatenate(blobs_of(module)), [5.998, 9.998, 1.999], rtol=1e-7)
    mean, variance = module.stored()
    np.testing.assert_allclose([mean.item(), variance.item()], [3.00050025, 5.00150075], rtol=1e-7)


@pytest.mark.parametrize("bottom", [SHAPE, (5, 3), (1, 3, 2), (2, 3, 2, 3, 2)])
@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.875, 1.0])
def test_the_sums_follow_the_formula(bottom, fraction):
    settings = f"moving_average_fraction: {fraction}"
    one = case(settings, bottom=bottom, blobs=STORED)
    module = one.module(double=True)
    expected = STORED
    x = one.values()[0].astype(np.float64)
    for _ in range(2):
        run(module, [x], double=True)
        expected = oracle.updated(x, *expected, fraction)
        for found, wanted in zip(blobs_of(module), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_of_one_value_a_channel_the_variance_is_0_not_nan():
    one = case(bottom=(1, 3), blobs=STORED)
    module = one.module()
    (top,) = run(module, one.values())
    np.testing.assert_allclose(top, 0, atol=1e-4)
    np.testing.assert_allclose(blobs_of(module)[1], STORED[1] * 0.999, rtol=1e-6)
    np.testing.assert_allclose(blobs_of(module)[2], [2.4985], rtol=1e-6)


@pytest.mark.parametrize(("phase", "settings"), [("TEST", ""), ("TRAIN", "use_global_stats: true")])
def test_stored_statistics_stay_as_they_are(phase, settings):
    one = case(settings, phase=phase, blobs=STORED)
    module = one.module()
    run(module, one.values())
    for found, stored in zip(blobs_of(module), STORED, strict=True):
        np.testing.assert_array_equal(found, stored)


def test_statistics_need_no_gradient_and_a_second_forward_may_come_before_backward():
    one = case()
    module = one.module()
    x = torch.from_numpy(one.values()[0]).requires_grad_()
    first, second = module(x), module(x * 2)
    assert isinstance(first, torch.Tensor)
    assert isinstance(second, torch.Tensor)
    (first * second).sum().backward()
    assert not any(blob.requires_grad for blob in module.learned)


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_scaling_in_the_same_pass_equals_a_scale_layer_behind(phase):
    one = case(phase=phase, blobs=STORED)
    scale, bias = np.array([2.0, -0.5, 3.0]), np.array([0.25, 1.0, -7.0])
    x = one.values()[0].astype(np.float64)
    module = one.module(double=True)
    found = module.normalised(torch.from_numpy(x), torch.from_numpy(scale), torch.from_numpy(bias))
    plain = oracle.by_batch(x) if phase == "TRAIN" else oracle.by_stored(x, *STORED)
    np.testing.assert_allclose(found.numpy(), scale_bias.scale(plain, scale, bias), atol=1e-10)


def test_half_precision_keeps_its_statistics_in_single():
    one = case()
    module = one.module()
    x = torch.from_numpy(one.values()[0])
    half = module(x.bfloat16())
    assert isinstance(half, torch.Tensor)
    assert half.dtype == torch.bfloat16
    assert all(blob.dtype == torch.float32 for blob in module.learned)
    mean, _ = oracle.batch_statistics(x.bfloat16().double().numpy())
    np.testing.assert_allclose(blobs_of(module)[0], mean, rtol=1e-4)
