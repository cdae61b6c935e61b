"""Boxes in pixels become fractions in single precision; the odd ones are told, and the useless dropped."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffeflow.data.boxes import Annotation, Box
from caffeflow.data.placed_boxes import NO_AREA, NOT_A_NUMBER, OUTSIDE, box_sides, place_boxes

PIXELS = st.integers(-20, 700) | st.floats(-20, 700, width=32)


def annotation(*boxes: tuple[float, float, float, float], height: int = 0, width: int = 0) -> Annotation:
    made = tuple(
        Box(label=label, xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax, is_difficult=label % 2 == 0)
        for label, (xmin, ymin, xmax, ymax) in enumerate(boxes, start=1)
    )
    return Annotation(boxes=made, height=height, width=width)


@given(
    box=st.tuples(PIXELS, PIXELS, PIXELS, PIXELS),
    size=st.tuples(st.integers(1, 600), st.integers(1, 600)),
    annotated=st.none() | st.tuples(st.integers(1, 600), st.integers(1, 600)),
)
def test_each_corner_is_divided_in_single_precision(
    box: tuple[float, float, float, float], size: tuple[int, int], annotated: tuple[int, int] | None
) -> None:
    height, width = annotated or size
    expected = [
        np.float32(box[0]) / np.float32(width),
        np.float32(box[1]) / np.float32(height),
        np.float32(box[2]) / np.float32(width),
        np.float32(box[3]) / np.float32(height),
    ]
    given_height, given_width = annotated or (0, 0)
    placed = place_boxes(annotation(box, height=given_height, width=given_width), size=size)
    if expected[2] > expected[0] and expected[3] > expected[1]:
        assert placed.corners.dtype == np.float32
        assert placed.corners.tolist() == [[float(corner) for corner in expected]]
        is_outside = bool(min(expected) < -1e-4 or max(expected) > 1 + 1e-4)
        assert [fault.reason for fault in placed.faults] == [OUTSIDE] * is_outside
        assert all(not fault.is_dropped for fault in placed.faults)
    else:
        assert placed.corners.shape == (0, 4)
        assert [(fault.reason, fault.is_dropped) for fault in placed.faults] == [(NO_AREA, True)]


def test_those_that_stay_keep_their_order_labels_and_marks() -> None:
    found = annotation((0, 0, 5, 5), (3, 3, 3, 9), (1, 2, 3, 4), (7, 9, 5, 11), (-1, 0, 5, 12), (2, 2, 4, 4))
    placed = place_boxes(found, size=(11, 13))
    assert placed.labels == (1, 3, 5, 6)
    assert placed.difficult == (False, False, False, True)
    assert [(fault.reason, fault.detail) for fault in placed.faults] == [
        (NO_AREA, "label 2 at 3,3,3,9"),
        (NO_AREA, "label 4 at 7,9,5,11"),
        (OUTSIDE, "label 5 at -1,0,5,12"),
    ]


def test_an_edge_missed_by_rounding_is_not_outside() -> None:
    placed = place_boxes(annotation((0, 0, 640.0001, 480), (0, 0, 640.1, 480)), size=(480, 640))
    assert [fault.detail for fault in placed.faults] == ["label 2 at 0,0,640.1,480"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
def test_a_corner_that_is_no_number_drops_the_box(value: float) -> None:
    placed = place_boxes(annotation((1, 2, 3, 4), (1, 2, value, 4)), size=(11, 13))
    assert placed.labels == (1,)
    assert [(fault.reason, fault.is_dropped) for fault in placed.faults] == [(NOT_A_NUMBER, True)]


def test_no_boxes_are_no_boxes() -> None:
    placed = place_boxes(annotation(), size=(11, 13))
    assert (placed.labels, placed.corners.shape, placed.faults) == ((), (0, 4), ())


def test_a_side_is_that_of_a_square_of_the_same_area() -> None:
    corners = np.array(
        [[0, 0, 1, 1], [0.5, 0.25, 1, 0.75], [0.25, 0, 0.5, 1], [0.5, 0.5, 0.25, 1]], np.float32
    )
    assert box_sides(corners).tolist() == [1, 0.5, 0.5, 0]
