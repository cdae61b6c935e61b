"""Batch samplers: bounds, constraints of the chosen crop, the pool, and the famous `a <= b`."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from caffeflow.engine.feed.draws import Draws
from caffeflow.engine.feed.ground_truth import GroundTruth
from caffeflow.engine.feed.sampler import Samplers, read_samplers, sampled_boxes
from caffeflow.errors import NetError
from tests.support.annotated_records import layer_with
from tests.support.oracles import annotated_augmentation as oracle

OBJECTS = np.array([[0.1, 0.2, 0.45, 0.7], [0.5, 0.55, 0.9, 0.95], [0.6, 0.05, 0.7, 0.2]], np.float32)
SHAPE = "min_scale: 0.3 max_scale: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2"
SMALL = SHAPE.replace("max_scale: 1", "max_scale: 0.7")  # where no aspect must be held
WHOLE = "batch_sampler { max_sample: 1 max_trials: 1 }"


def samplers(fields: str) -> Samplers:
    return Samplers(read_samplers(layer_with(f"annotated_data_param {{ {fields} }}")))


def truth(boxes: np.ndarray = OBJECTS) -> GroundTruth:
    rows = np.column_stack([np.ones((len(boxes), 2)), boxes, np.zeros(len(boxes))])
    return GroundTruth(rows.astype(np.float32))


def crops(fields: str, count: int, *, seed: int = 1, boxes: np.ndarray = OBJECTS) -> list[np.ndarray | None]:
    subject, draws = samplers(fields), Draws(seed, "data")
    return [subject.find_crop(truth(boxes), draws.of_record(number)) for number in range(count)]


def test_sides_are_never_above_one_whatever_the_aspect() -> None:
    rng = np.random.default_rng(1)
    ratios = np.exp(rng.uniform(-4, 4, 50_000)).astype(np.float32)
    scales = np.concatenate([np.ones(25_000), rng.uniform(0.05, 1, 25_000)]).astype(np.float32)
    low = np.stack([scales, ratios])
    boxes = sampled_boxes(rng.random((4, len(ratios)), np.float32), low, np.zeros_like(low))
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] >= boxes[:, :2]).all()
    assert (boxes[:, 2:] <= np.nextafter(np.float32(1), np.float32(2))).all()
    root = np.sqrt(np.clip(ratios, scales * scales, 1 / (scales * scales)))
    over = int((scales * root > 1).sum() + (scales / root > 1).sum())
    assert over > 0  # without being held some sides are above 1: there Caffe ends


@pytest.mark.parametrize("seed", range(10))
def test_sampling_at_the_full_scale_works_with_any_seed(seed: int) -> None:
    fields = (
        "batch_sampler { sampler { max_scale: 1 min_aspect_ratio: 0.3 max_aspect_ratio: 3 } max_trials: 50 }"
    )
    for crop in crops(fields, 200, seed=seed):
        assert crop is not None
        assert (crop[2:] - crop[:2]).tolist() == pytest.approx([1, 1], abs=2e-6)


def test_scales_and_aspects_cover_what_is_asked_for() -> None:
    found = crops(f"batch_sampler {{ sampler {{ {SMALL} }} max_trials: 1 }}", 4000)
    boxes = np.array(found)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    scales, aspects = np.sqrt(width * height), width / height
    for values, low, high in ((scales, 0.3, 0.7), (aspects, 0.5, 2.0)):
        counts, _ = np.histogram(values, 8, (low - 1e-5, high + 1e-5))
        assert counts.sum() == 4000
        assert counts.min() > 400
        assert counts.max() < 600
    for corner, side in ((boxes[:, 0], width), (boxes[:, 1], height)):
        counts, _ = np.histogram(corner / (1 - side), 8, (0, 1))
        assert counts.min() > 400
        assert counts.max() < 600


CONSTRAINTS = (
    {"min_jaccard_overlap": 0.3},
    {"max_jaccard_overlap": 0.2},
    {"min_jaccard_overlap": 0.1, "max_jaccard_overlap": 0.4},
    {"min_sample_coverage": 0.25},
    {"max_sample_coverage": 0.1},
    {"min_object_coverage": 0.9},
    {"min_object_coverage": 0.2, "max_object_coverage": 0.6},
)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_the_crop_satisfies_its_constraint_and_every_such_box_is_accepted(
    constraint: dict[str, float],
) -> None:
    fields = " ".join(f"{name}: {value}" for name, value in constraint.items())
    subject = samplers(
        f"batch_sampler {{ sampler {{ {SHAPE} }} sample_constraint {{ {fields} }} max_trials: 50 }}"
    )
    objects = [list(box) for box in OBJECTS]
    draws = Draws(1, "data")
    accepted = 0
    for number in range(60):
        crop = subject.find_crop(truth(), draws.of_record(number))
        assert crop is None or oracle.satisfies(list(crop), objects, constraint)
        boxes = np.sort(np.random.default_rng(number).random((20, 2, 2)), axis=1).reshape(-1, 4)
        boxes = np.resize(boxes.astype(np.float32), (50, 4))
        found = subject._satisfied(boxes, truth())
        assert found.tolist() == [oracle.satisfies(list(box), objects, constraint) for box in boxes]
        accepted += int(found.sum())
    assert accepted > 0
    # Of three objects some one is always seen little of.
    assert (accepted < 60 * 50) == any(name.startswith("min") for name in constraint)


def test_a_second_kind_of_constraint_has_no_effect_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    both = {"min_jaccard_overlap": 0.1, "min_object_coverage": 0.99, "max_sample_coverage": 0}
    fields = " ".join(f"{name}: {value}" for name, value in both.items())
    text = "batch_sampler {{ sampler {{ {} }} sample_constraint {{ {} }} max_trials: 50 }}"
    with caplog.at_level(logging.WARNING):
        subject = samplers(text.format(SHAPE, fields))
    assert "sample_coverage has no effect beside jaccard_overlap" in caplog.text
    assert "object_coverage has no effect beside jaccard_overlap" in caplog.text
    objects = [list(box) for box in OBJECTS]
    boxes = np.sort(np.random.default_rng(1).random((50, 2, 2)), axis=1).reshape(-1, 4).astype(np.float32)
    found = subject._satisfied(boxes, truth())
    assert found.tolist() == [oracle.satisfies(list(box), objects, both) for box in boxes]
    assert found.any()


def test_areas_that_objects_carry_count() -> None:
    subject = samplers("batch_sampler { sample_constraint { min_object_coverage: 0.5 } max_trials: 1 }")
    thing = truth(OBJECTS[:1])
    assert subject.find_crop(thing, Draws(1, "data").of_record(0)) is not None
    heavy = GroundTruth(thing.rows, is_cut=True, kept_areas=thing.areas * 3)
    assert subject.find_crop(heavy, Draws(1, "data").of_record(0)) is None


def test_a_sampler_without_a_sampler_is_the_whole_picture() -> None:
    for crop in crops(WHOLE, 50):
        assert crop is not None
        assert crop.tolist() == [0, 0, 1, 1]


def test_without_objects_no_constraint_is_satisfied() -> None:
    constrained = f"batch_sampler {{ sampler {{ {SHAPE} }} sample_constraint {{ max_jaccard_overlap: 1 }} max_trials: 9 }}"
    assert crops(constrained, 30, boxes=OBJECTS[:0]) == [None] * 30
    for crop in crops(f"{WHOLE} {constrained}", 30, boxes=OBJECTS[:0]):
        assert crop is not None
        assert crop.tolist() == [0, 0, 1, 1]


def test_each_sampler_adds_its_first_boxes_and_the_pool_is_drawn_from_evenly() -> None:
    free = f"batch_sampler {{ sampler {{ {SMALL} }} max_sample: 3 max_trials: 20 }}"
    found = crops(f"{WHOLE} {free}", 4000)
    whole = sum(crop is not None and crop.tolist() == [0, 0, 1, 1] for crop in found)
    assert 900 < whole < 1100  # one of four
    subject = samplers(f"{free} {WHOLE} batch_sampler {{ max_trials: 5 }} batch_sampler {{ max_sample: 0 }}")
    passing = np.zeros(20 + 1 + 5 + 100, bool)
    passing[[2, 5, 11, 12, 20, 22, 23, 24, 30, 50]] = True
    assert np.flatnonzero(subject._kept(passing)).tolist() == [2, 5, 11, 20, 22, 23, 24]


def test_the_default_is_a_hundred_trials_and_every_box_that_passes() -> None:
    (found,) = read_samplers(layer_with("annotated_data_param { batch_sampler { } }"))
    assert (found.trials, found.samples) == (100, 100)
    assert (found.scale, found.aspect, found.constraint) == ((1, 1), (1, 1), None)


def test_a_sampler_that_may_not_use_the_picture_does_nothing_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    layer = layer_with("annotated_data_param { batch_sampler { use_original_image: false } }")
    with caplog.at_level(logging.WARNING):
        assert read_samplers(layer) == ()
    assert "batch_sampler 1 has no effect without use_original_image" in caplog.text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("min_scale: 0", "scales from 0 to 1"),
        ("min_scale: 0.8 max_scale: 0.5", "scales from 0.8 to 0.5"),
        ("max_scale: 1.5", "scales from 1 to 1.5"),
        ("min_aspect_ratio: 0", "aspect ratios from 0 to 1"),
        ("min_aspect_ratio: 2", "aspect ratios from 2 to 1"),
        ("max_aspect_ratio: inf", "aspect ratios from 1 to inf"),
    ],
)
def test_ranges_that_ssd_refuses_are_refused_with_the_samplers_number(fields: str, words: str) -> None:
    layer = layer_with(f"annotated_data_param {{ {WHOLE} batch_sampler {{ sampler {{ {fields} }} }} }}")
    with pytest.raises(NetError, match=f"batch_sampler 2: {words}") as caught:
        read_samplers(layer)
    assert caught.value.layer == "data"
