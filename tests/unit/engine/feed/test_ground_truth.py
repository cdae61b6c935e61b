"""Boxes through frames: projection, emit constraints, mirroring, the rows of a batch, by loops."""

from __future__ import annotations

import numpy as np
import pytest

from caffeflow.engine.feed.boxes import clipped, coverages, overlaps, shared_areas
from caffeflow.engine.feed.ground_truth import EmitRule, GroundTruth, gathered, mirrored
from tests.support.annotated_records import layer_with
from tests.support.oracles import annotated_augmentation as oracle
from tests.support.oracles.ssd_boxes import overlap

CANVAS = (-1.5, -0.25, 2.5, 1.75)
UNIT = np.array([0, 0, 1, 1], np.float32)
RULES = {
    "": None,
    "emit_constraint { }": {},
    "emit_constraint { emit_type: CENTER emit_overlap: 0.5 }": {},
    "emit_constraint { emit_type: MIN_OVERLAP emit_overlap: 0.3 }": {"least_coverage": np.float32(0.3)},
    "emit_constraint { emit_type: MIN_OVERLAP }": {"least_coverage": np.float32(0)},
}


def truth_of(boxes: np.ndarray) -> GroundTruth:
    count = len(boxes)
    rows = np.column_stack([np.arange(count) // 3, np.arange(count), boxes, np.arange(count) % 2])
    return GroundTruth(rows.astype(np.float32))


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corners = np.sort(rng.uniform(-0.2, 1.2, (count, 2, 2)), axis=1)
    return corners.reshape(-1, 4).astype(np.float32)


def rule(fields: str) -> EmitRule | None:
    return EmitRule.find(layer_with(f"transform_param {{ {fields} }}").transform_param)


@pytest.mark.parametrize("fields", RULES)
@pytest.mark.parametrize("corners", [CANVAS, (0.2, 0.3, 0.8, 0.9), (0, 0.5, 1, 1), (0.4, 0.1, 0.9, 0.7)])
def test_a_frame_keeps_and_places_boxes_as_ssd_does(fields: str, corners: tuple[float, ...]) -> None:
    boxes = random_boxes(np.random.default_rng(8), 29)
    frame = np.array(corners, np.float32)
    kept = truth_of(boxes).within(frame, rule(fields))
    expected = []
    for number, box in enumerate(boxes):
        arguments = RULES[fields]
        if arguments is not None and not oracle.emits(list(frame), list(box), **arguments):
            continue
        placed = oracle.project(list(frame), list(box))
        if placed is not None:
            expected.append([number // 3, number, *placed, number % 2])
    assert 0 < len(expected) < 29 or corners is CANVAS
    assert np.array_equal(kept.rows, np.array(expected, np.float32).reshape(-1, 7))


def test_what_only_touches_a_frame_is_dropped_and_its_edge_counts_as_centre() -> None:
    frame = np.array([0.25, 0.25, 0.75, 0.75], np.float32)
    boxes = np.array([[0, 0.3, 0.25, 0.5], [0.3, 0.75, 0.5, 1], [0, 0.3, 0.5, 0.5], [0.3, 0.3, 0.3, 0.5]])
    kept = truth_of(boxes).within(frame, rule("emit_constraint { }"))
    assert kept.rows[:, 1].tolist() == [2]
    assert kept.boxes.tolist() == [[0, pytest.approx(0.1), 0.5, 0.5]]


def test_an_area_noted_when_a_box_was_cut_counts_after_it_was_moved() -> None:
    half = rule("emit_constraint { emit_type: MIN_OVERLAP emit_overlap: 0.8 }")
    box = np.array([[0.2, 0.2, 0.6, 0.6]], np.float32)
    shrunk = np.array([[0.2, 0.35, 0.6, 0.65]], np.float32)  # as margins above and below make of it
    fresh, cut = truth_of(box), truth_of(box).within(UNIT, None)
    assert len(fresh.moved(shrunk).within(UNIT, half).rows) == 1
    assert len(cut.moved(shrunk).within(UNIT, half).rows) == 0
    assert oracle.emits(list(UNIT), list(shrunk[0]), least_coverage=0.8)
    assert not oracle.emits(list(UNIT), list(shrunk[0]), least_coverage=0.8, own_area=0.16)


def test_shares_of_boxes_are_those_of_the_loops() -> None:
    rng = np.random.default_rng(3)
    one, other = random_boxes(rng, 31), random_boxes(rng, 31)
    shared = shared_areas(one, other)
    one_areas = shared_areas(one, one)
    found = overlaps(shared, one_areas, shared_areas(other, other))
    covered = coverages(shared, one_areas)
    for index in range(31):
        a, b = list(one[index]), list(other[index])
        assert found[index] == overlap(a, b)
        assert covered[index] == oracle.coverage(a, b)
    assert (found == 0).any()
    assert (found > 0).any()


def test_clipping_holds_every_coordinate() -> None:
    boxes = np.array([[-1, 0.5, 2, 1.5], [1.5, -2, 3, -1]], np.float32)
    assert clipped(boxes).tolist() == [[0, 0.5, 1, 1], [1, 0, 1, 0]]


def test_mirroring_exchanges_the_sides_and_nothing_else() -> None:
    truth = truth_of(np.array([[0.125, 0.2, 0.5, 0.7], [0, 0, 1, 1]], np.float32))
    turned = mirrored(truth)
    assert turned.boxes[0].tolist() == [0.5, pytest.approx(0.2), 0.875, pytest.approx(0.7)]
    assert turned.boxes[1].tolist() == [0, 0, 1, 1]
    assert np.array_equal(turned.rows[:, [0, 1, 6]], truth.rows[:, [0, 1, 6]])
    assert np.array_equal(mirrored(turned).rows, truth.rows)


def test_a_batch_has_a_row_for_each_box_behind_the_number_of_its_item() -> None:
    one, other = truth_of(np.zeros((2, 4))).rows, truth_of(np.ones((3, 4))).rows
    empty = np.empty((0, 7), np.float32)
    second = gathered([empty, one, empty, other])
    assert second.shape == (1, 1, 5, 8)
    assert second[0, 0, :, 0].tolist() == [1, 1, 3, 3, 3]
    assert np.array_equal(second[0, 0, :, 1:], np.concatenate([one, other]))


def test_a_batch_without_a_box_has_one_row_of_minus_one() -> None:
    assert np.array_equal(gathered([np.empty((0, 7), np.float32)] * 3), np.full((1, 1, 1, 8), -1))
