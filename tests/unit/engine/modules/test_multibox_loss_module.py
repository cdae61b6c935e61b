"""MultiBoxLoss against its loops in many combinations, and the batches that break such layers."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from caffeflow.engine.modules.multibox_terms import class_losses
from caffeflow.engine.modules.registry import LayerModule, Setup, build_module
from caffeflow.errors import DataError
from caffeflow.layers.spec import spec_for
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.text import parse
from tests.support.layer_battery import assert_arrays_equal, doubles
from tests.support.multibox_scenes import as_priors, as_truth, drawn_settings, scene, some_boxes, text_of
from tests.support.oracles.multibox import (
    Batch,
    Settings,
    cross_entropy,
    multibox,
    one_hot,
    sigmoid_cross_entropy,
)

COMBINATIONS = 240
BLOCK = 24
CENTER = Settings(classes=4, code="CENTER_SIZE")
SQUARE = [0.25, 0.25, 0.75, 0.75]


def module_of(settings, bottoms) -> LayerModule:
    layer = parse(f'name: "mbox" {text_of(settings)}', LayerParameter(), source="layer")
    params = spec_for(layer).read(layer)
    shapes = tuple(bottom.shape for bottom in bottoms)
    tops = tuple(spec_for(layer).shapes(params, shapes))
    return build_module(Setup(layer=layer, params=params, bottoms=shapes, tops=tops, phase="TRAIN"))


def run(settings, bottoms, *, double=True, device="cpu"):
    """(loss, gradient of loc, gradient of conf)."""
    dtype = torch.float64 if double else torch.float32
    loc, conf, priors, truth = (torch.from_numpy(bottom).to(device, dtype) for bottom in bottoms)
    loc.requires_grad_()
    conf.requires_grad_()
    loss = module_of(settings, bottoms)(loc, conf, priors, truth)
    return [found.detach().cpu().numpy() for found in (loss, *torch.autograd.grad(loss, (loc, conf)))]


def check(settings, bottoms, **place):
    expected = multibox(*doubles(bottoms), settings)
    assert_arrays_equal(run(settings, bottoms, **place), expected, tolerance=1e-9)
    return expected


def drawn_scene(seed):
    settings = drawn_settings(seed)
    rng = np.random.default_rng(seed + 10_000)
    boxes = rng.permutation([0, *rng.integers(1, 6, 2)])
    spread, sharpness = rng.choice([0.2, 0.7]), rng.choice([1.5, 1.5, 150])
    return settings, scene(settings, seed=seed, count=11, boxes=boxes, spread=spread, sharpness=sharpness)


def check_drawn(first, **place):
    for seed in range(first, first + BLOCK):
        settings, batch = drawn_scene(seed)
        loss, *_ = check(settings, batch.bottoms(), **place)
        assert np.isfinite(loss), f"seed {seed}: {settings}"


@pytest.mark.parametrize("first", range(0, COMBINATIONS, BLOCK))
def test_drawn_settings_equal_loops(first):
    check_drawn(first)


def test_drawn_settings_reach_every_option():
    drawn = [drawn_scene(seed) for seed in range(COMBINATIONS)]
    for name in vars(CENTER).keys() - {"counts"}:
        used = {getattr(settings, name) for settings, _ in drawn}
        assert len(used) > 1, name
    found = [Batch(*doubles(batch.bottoms()), settings).pairs() for settings, batch in drawn]
    assert sum(bool(pairs) for pairs, _ in found) > 0.8 * COMBINATIONS
    assert sum(bool(negatives) for _, negatives in found) > 0.3 * COMBINATIONS


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("first", range(0, COMBINATIONS, BLOCK))
def test_drawn_settings_equal_loops_on_cuda(first):
    check_drawn(first, device="cuda")


@pytest.mark.parametrize("seed", [3, 5, 7, 11])
@pytest.mark.parametrize("conf_loss", ["SOFTMAX", "LOGISTIC"])
def test_gradients_of_the_loops_are_those_of_their_loss(conf_loss, seed):
    """Without the division by variances and mining, whose gradients are Caffe's own, differences agree."""
    settings = replace(CENTER, mining="NONE", conf_loss=conf_loss, loc_weight=0.5)
    bottoms = doubles(scene(settings, seed=seed, count=7).bottoms())
    _, *gradients = multibox(*bottoms, settings)
    for place, gradient in enumerate(gradients):
        flat = bottoms[place].reshape(-1)
        for index in np.random.default_rng(seed).integers(0, flat.size, 13):
            kept, losses = flat[index], []
            for step in (1e-6, -1e-6):
                flat[index] = kept + step
                losses.append(multibox(*bottoms, settings)[0])
            flat[index] = kept
            difference = (losses[0] - losses[1]) / 2e-6
            assert gradient.flat[index] == pytest.approx(difference, abs=1e-7)


def test_the_division_by_variances_does_not_reach_the_gradient():
    settings = replace(CENTER, variance_in_target=True, loc_loss="L2", mining="NONE")
    bottoms = scene(settings, seed=2).bottoms()
    _, found, _ = run(settings, bottoms)
    plain = replace(settings, variance_in_target=False)
    scaled = bottoms.copy()
    scaled[0] = (bottoms[0].reshape(3, -1, 4) / np.float32([0.1, 0.1, 0.2, 0.2])).reshape(3, -1)
    _, expected, _ = run(plain, scaled)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found).max() > 0.1


@pytest.mark.parametrize("label", [-1, 0, 2])
@pytest.mark.parametrize("sharpness", [1.5, 150])
def test_the_losses_that_mining_ranks(label, sharpness):
    scores = np.random.default_rng(label + 7).normal(0, sharpness, (13, 4))
    found = {
        conf_loss: class_losses(
            torch.from_numpy(scores),
            torch.full((13,), label),
            module_of(settings, scene(settings).bottoms()).params,
        )
        for conf_loss in ("SOFTMAX", "LOGISTIC")
        for settings in [replace(CENTER, conf_loss=conf_loss)]
    }
    each = [sigmoid_cross_entropy(row, one_hot(label, 4)) for row in scores]
    np.testing.assert_allclose(found["LOGISTIC"], each, rtol=1e-9, atol=1e-8)
    if label >= 0:
        np.testing.assert_allclose(
            found["SOFTMAX"], [cross_entropy(row, label) for row in scores], rtol=1e-12, atol=1e-12
        )


def test_a_batch_of_another_size_runs():
    small, large = scene(CENTER, seed=1), scene(CENTER, seed=2, boxes=(1, 3, 0, 2, 5), count=17)
    module = module_of(CENTER, small.bottoms())
    found = module(*(torch.from_numpy(bottom).double() for bottom in large.bottoms()))
    assert float(found) == pytest.approx(float(multibox(*doubles(large.bottoms()), CENTER)[0]), rel=1e-12)


def test_two_forwards_give_what_each_gives_alone():
    one, other = scene(CENTER, seed=1), scene(CENTER, seed=2)
    module = module_of(CENTER, one.bottoms())
    found = [
        float(module(*(torch.from_numpy(x).double() for x in batch.bottoms()))) for batch in (one, other, one)
    ]
    assert found[0] == found[2] != found[1]


def test_images_without_boxes_cost_nothing_when_mined():
    bottoms = scene(CENTER, seed=4, boxes=(2, 0, 3)).bottoms()
    _, loc, conf = check(CENTER, bottoms)
    assert conf[0].any()
    assert not conf[1].any()
    assert not loc[1].any()


@pytest.mark.parametrize("mining", ["MAX_NEGATIVE", "HARD_EXAMPLE"])
def test_a_batch_without_boxes_costs_nothing(mining):
    settings = replace(CENTER, mining=mining)
    found = run(settings, scene(settings, boxes=(0, 0)).bottoms())
    assert not any(array.any() for array in found)


def test_only_difficult_boxes_and_none_of_them_used():
    settings = replace(CENTER, difficult=False)
    assert not any(found.any() for found in run(settings, scene(settings, difficult=1).bottoms()))
    used = replace(CENTER, difficult=True)
    assert run(used, scene(settings, difficult=1).bottoms())[0] > 0


def test_more_boxes_than_priors():
    settings = replace(CENTER, match="BIPARTITE")
    bottoms = scene(settings, seed=6, count=3, boxes=(11, 17)).bottoms()
    check(settings, bottoms)
    pairs, _ = Batch(*doubles(bottoms), settings).pairs()
    assert len(pairs) == 6


def same_boxes(count, boxes, labels=(1,)):
    settings = replace(CENTER, match="BIPARTITE")
    batch = scene(settings, count=count, boxes=(1,))
    priors = as_priors([SQUARE] * count)
    rows = [[0, labels[n % len(labels)], n, *SQUARE, 0] for n in range(boxes)]
    return settings, [batch.loc, batch.conf, priors, as_truth(rows)]


def test_equal_overlaps_go_to_the_lowest_prior_and_the_earliest_box():
    settings, bottoms = same_boxes(count=5, boxes=3, labels=(3, 1, 2))
    pairs, _ = Batch(*doubles(bottoms), settings).pairs()
    assert [(prior, label) for _, _, prior, label, _ in pairs] == [(0, 3), (1, 1), (2, 2)]
    check(settings, bottoms)


def test_equal_losses_choose_the_lowest_priors():
    settings, bottoms = same_boxes(count=11, boxes=1)
    settings = replace(settings, neg_overlap=2, ratio=3)
    bottoms[1] = np.zeros_like(bottoms[1])
    _, _, conf = check(settings, bottoms)
    assert conf.reshape(11, 4).any(1).tolist() == [True] * 4 + [False] * 7


def test_a_chain_of_rivals_is_matched_as_one_by_one():
    """Each box likes best a prior that another box likes still better: every round settles one."""
    count = 9
    lows = np.arange(count) * 0.1
    priors = [[low, 0.0, low + 0.5, 0.5] for low in lows]
    boxes = [[low + 0.04 + 0.002 * n, 0.0, low + 0.54 + 0.002 * n, 0.5] for n, low in enumerate(lows)]
    settings = replace(CENTER, match="BIPARTITE")
    batch = scene(settings, count=count, boxes=(1,))
    rows = [[0, 1, 0, *box, 0] for box in boxes]
    bottoms = [batch.loc, batch.conf, as_priors(priors), as_truth(rows)]
    check(settings, bottoms)


def test_boxes_without_area_are_never_matched():
    rows = [
        [0, 1, 0, 0.3, 0.3, 0.3, 0.8, 0],
        [1, 1, 0, 0.6, 0.2, 0.4, 0.9, 0],
        [2, 2, 0, 0.5, 0.5, 0.5, 0.5, 0],
    ]
    bottoms = scene(CENTER).bottoms()
    bottoms[3] = as_truth(rows)
    assert run(CENTER, bottoms)[0] == 0


def test_boxes_outside_the_image_and_huge_ones():
    rows = [[0, 1, 0, -3, -2, -1, -1, 0], [1, 2, 0, -50, -60, 70, 80, 0], [2, 3, 0, 1.5, 1.5, 1.6, 1.6, 0]]
    for by_priors in (True, False):
        settings = replace(CENTER, by_priors=by_priors)
        bottoms = scene(settings, seed=8).bottoms()
        bottoms[3] = as_truth(rows)
        check(settings, bottoms)


def test_scores_of_nan_show_in_the_loss():
    bottoms = scene(CENTER, seed=1).bottoms()
    bottoms[1][0] = np.nan
    assert np.isnan(run(CENTER, bottoms)[0])


def test_loc_of_nan_shows_in_the_loss_where_it_is_matched():
    bottoms = scene(CENTER, seed=1).bottoms()
    pairs, _ = Batch(*doubles(bottoms), CENTER).pairs()
    matched = {(image, prior) for image, _, prior, _, _ in pairs}
    unmatched = next(prior for prior in range(13) if (0, prior) not in matched)
    bottoms[0].reshape(3, -1, 4)[0, unmatched] = np.nan
    assert np.isfinite(run(CENTER, bottoms)[0])
    bottoms[0].reshape(3, -1, 4)[0, min(prior for image, prior in matched if image == 0)] = np.nan
    assert np.isnan(run(CENTER, bottoms)[0])


def test_many_priors_are_suppressed_in_blocks(monkeypatch):
    monkeypatch.setattr("caffeflow.engine.modules.multibox_mining._BLOCK", 5)
    settings = replace(CENTER, nms=(0.25, -1), nms_by_priors=True, ratio=20)
    for seed in range(7):
        check(settings, scene(settings, seed=seed, count=23).bottoms())


@pytest.mark.parametrize(
    ("label", "settings", "message"),
    [
        (0, CENTER, r"'mbox': image 1 of the batch .* label 0, the background's .*label map"),
        (4, CENTER, r"'mbox': image 1 of the batch .* label 4.*4 classes \(0 to 3\)"),
        (-2, CENTER, "label -2"),
        (9, replace(CENTER, classes=2, agnostic=True), "label 9"),
    ],
)
def test_labels_that_are_no_class_name_the_image(label, settings, message):
    bottoms = scene(settings).bottoms()
    bottoms[3] = as_truth([[0, 1, 0, *SQUARE, 0], [1, label, 0, *SQUARE, 0]])
    with pytest.raises(DataError, match=message):
        run(settings, bottoms)


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        (replace(CENTER, by_priors=False), True),
        (replace(CENTER, by_priors=False, code="CORNER"), False),
        (replace(CENTER, nms=(0.5, 9)), True),
        (CENTER, False),
    ],
)
def test_priors_without_area_are_refused_where_caffe_stops(settings, refused):
    batch = scene(settings, count=7)
    boxes = some_boxes(np.random.default_rng(1), 7)
    boxes[3, 2] = boxes[3, 0]
    bottoms = [batch.loc, batch.conf, as_priors(boxes), batch.truth]
    if refused:
        with pytest.raises(DataError, match="'mbox': prior 3 has no area"):
            run(settings, bottoms)
    else:
        check(settings, bottoms)


def test_variances_must_be_positive_where_they_divide():
    settings = replace(CENTER, code="CORNER")
    batch = scene(settings, count=7)
    bottoms = [
        batch.loc,
        batch.conf,
        as_priors(some_boxes(np.random.default_rng(1), 7), (0.1, 0, 0.2, 0.2)),
        batch.truth,
    ]
    with pytest.raises(DataError, match=r"prior 0 has variances 0\.1, 0, 0\.2, 0\.2"):
        run(settings, bottoms)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (replace(CENTER, conf_loss="LOGISTIC", background=2), "background_label_id is 2"),
        (replace(CENTER, conf_loss="LOGISTIC", mining="NONE"), "all images but the first"),
        (replace(CENTER, nms=(0.5, 0)), "no top_k"),
        (CENTER, None),
    ],
)
def test_settings_that_nobody_can_want_are_named(settings, words, caplog):
    with caplog.at_level(logging.WARNING):
        module_of(settings, scene(settings).bottoms())
    assert [words in record.getMessage() for record in caplog.records] == ([True] if words else [])


@pytest.mark.parametrize("counts", [(True, False), (False, True), (False, False)])
def test_a_term_that_does_not_propagate_is_not_in_the_loss(counts):
    settings = replace(CENTER, counts=counts)
    bottoms = scene(settings).bottoms()
    module = module_of(settings, bottoms)
    found = module(*(torch.from_numpy(bottom).double() for bottom in bottoms))
    assert float(found) == pytest.approx(float(multibox(*doubles(bottoms), settings)[0]), rel=1e-12)
