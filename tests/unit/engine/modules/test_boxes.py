"""Arithmetic of boxes against loops, and the cases where Caffe's is its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffeflow.engine.modules import boxes
from caffeflow.layers.boxes import Coding
from tests.support.oracles import ssd_boxes

CODINGS = [
    Coding(kind, variance_in_target)
    for kind in ("CORNER", "CENTER_SIZE", "CORNER_SIZE")
    for variance_in_target in (False, True)
]


def tensor(*values):
    return torch.tensor(values, dtype=torch.float32)


def some(*shape, seed=0):
    """Boxes about the image; every seventh has its right side on the left."""
    rng = np.random.default_rng(seed)
    centres, sides = rng.random((*shape, 2)), rng.uniform(0.05, 0.6, (*shape, 2))
    made = np.concatenate([centres - sides / 2, centres + sides / 2], -1)
    made.reshape(-1, 4)[6::7] = made.reshape(-1, 4)[6::7][:, [2, 1, 0, 3]]
    return torch.from_numpy(made)


@pytest.mark.parametrize("shape", [(11,), (3, 11)])
def test_overlap_and_coverage_equal_loops(shape):
    one, other = some(*shape), some(13, seed=1)
    overlap, part = boxes.iou(one, other), boxes.coverage(one, other)
    assert overlap.shape == part.shape == (*shape, 13)
    for place in np.ndindex(*overlap.shape):
        a, b = one[place[:-1]].tolist(), other[place[-1]].tolist()
        assert float(overlap[place]) == pytest.approx(ssd_boxes.overlap(a, b), abs=1e-15)
        area = ssd_boxes.area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
        assert float(part[place]) == pytest.approx(area / ssd_boxes.area(a) if area else 0, abs=1e-15)
    assert (overlap > 0).any()
    assert (overlap == 0).any()


def test_touching_boxes_overlap_in_pixels_only():
    left, right = tensor([0, 0, 2, 3]), tensor([2, 0, 5, 3])
    assert float(boxes.iou(left, right)) == 0
    shared, sizes = 1 * 4, (3 * 4, 4 * 4)
    assert float(boxes.iou(left, right, in_pixels=True)) == pytest.approx(shared / (sum(sizes) - shared))


def test_boxes_apart_share_one_pixel_as_in_caffe():
    apart = boxes.iou(tensor([0, 0, 2, 3]), tensor([7, 0, 9, 3]), in_pixels=True)
    assert float(apart) == pytest.approx(1 / (12 + 12 - 1))


def test_boxes_without_area_and_of_nan_overlap_nothing():
    odd = tensor([0.5, 0.2, 0.5, 0.9], [0.7, 0.2, 0.3, 0.9], [float("nan"), 0, 1, 1], [0, 0, 1, float("nan")])
    assert not boxes.iou(odd, tensor([0, 0, 1, 1])).any()
    assert not boxes.iou(tensor([0, 0, 1, 1]), odd).any()


def test_sizes():
    odd = tensor([0.25, 0.5, 0.75, 1], [2, 3, 5, 7], [0.5, 0, 0.25, 1], [0, 1, 1, 0.5])
    assert boxes.sizes(odd).tolist() == [0.25, 12, 0, 0]
    assert boxes.sizes(odd, in_pixels=True).tolist() == [2.25, 20, 0, 0]


@pytest.mark.parametrize("coding", CODINGS, ids=str)
def test_codes_equal_loops_and_come_back(coding):
    rng = np.random.default_rng(3)
    priors, wanted = some(6), some(5, 6, seed=4)
    variances = torch.from_numpy(rng.uniform(0.1, 0.5, (6, 4)))
    codes = boxes.encode(priors, variances, wanted, coding)
    assert codes.shape == (5, 6, 4)
    rules = {"code": coding.kind, "variance_in_target": coding.variance_in_target}
    for image, prior in np.ndindex(5, 6):
        if ssd_boxes.area(wanted[image, prior]) == 0:
            continue  # CENTER_SIZE has no code for it
        relative = priors[prior].tolist(), variances[prior].tolist()
        code = ssd_boxes.encode(*relative, wanted[image, prior].tolist(), **rules)
        np.testing.assert_allclose(codes[image, prior], code, atol=1e-12)
        decoded = boxes.decode(priors[prior], variances[prior], codes[image, prior], coding)
        np.testing.assert_allclose(decoded, ssd_boxes.decode(*relative, code, **rules), atol=1e-12)
        np.testing.assert_allclose(decoded, wanted[image, prior], atol=1e-12)


def test_a_code_worked_by_hand():
    prior, box = tensor([0.2, 0.2, 0.6, 0.8]), tensor([0.25, 0.3, 0.65, 0.7])
    code = boxes.encode(prior, tensor([0.1, 0.1, 0.2, 0.2]), box, Coding("CENTER_SIZE"))
    np.testing.assert_allclose(code, [[1.25, 0, 0, -2.027326]], atol=1e-6)


def test_clip_and_border():
    odd = tensor([-0.5, 0.25, 0.5, 1.5], [0, 0, 1, 1], [0.5, 0.5, 0.75, 1.25])
    assert boxes.clip(odd).tolist() == [[0, 0.25, 0.5, 1], [0, 0, 1, 1], [0.5, 0.5, 0.75, 1]]
    assert boxes.are_across_border(odd).tolist() == [True, False, True]


def test_scale_is_by_width_then_height():
    assert boxes.scale(tensor([0.5, 0.25, 1, 0.5]), height=300, width=500).tolist() == [[250, 75, 500, 150]]


def test_projection_is_cut_to_the_source_and_undone_by_location():
    source = tensor([0.25, 0.5, 0.75, 1])
    inside, across = [0.375, 0.625, 0.5, 0.75], [0, 0.75, 0.5, 1.5]
    touching, flat = [0.75, 0.5, 1, 1], [0.5, 0.75, 0.5, 0.875]
    projected, has_area = boxes.project(source, tensor(inside, across, touching, flat))
    assert projected.tolist() == [[0.25, 0.25, 0.5, 0.5], [0, 0.5, 0.5, 1], touching, [0.5, 0.5, 0.5, 0.75]]
    assert has_area.tolist() == [True, True, False, False]
    assert boxes.locate(source, projected[:1]).tolist() == [inside]
