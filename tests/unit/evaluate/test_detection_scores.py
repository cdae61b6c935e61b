"""Average precision and its mean, beside a count by loops and cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffeflow.errors import NetError
from caffeflow.evaluate.detection import AP_VERSIONS, DetectionTally, average_precision
from tests.support.oracles import detection_scores as oracle

LISTS = st.lists(st.tuples(st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9]), st.booleans()), max_size=23)


def ap(scores, right, boxes: int, version: str) -> float:
    scores, right = np.array(scores, np.float32), np.array(right, np.float32)
    return float(average_precision(scores, right, boxes=boxes, version=version))


@pytest.mark.parametrize("version", AP_VERSIONS)
@given(detections=LISTS, missed=st.integers(0, 7))
def test_average_precision_is_that_of_a_loop(version: str, detections, missed: int) -> None:
    scores, right = [score for score, _ in detections], [int(is_right) for _, is_right in detections]
    boxes = sum(right) + missed
    assert ap(scores, right, boxes, version) == oracle.average_precision(scores, right, boxes, version)


def test_cases_by_hand() -> None:
    # Right, wrong, right of three boxes: recall 1/3 at precision 1, 2/3 at precision 2/3.
    scores, right = [0.9, 0.8, 0.7], [1, 0, 1]
    assert ap(scores, right, 3, "11point") == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)
    assert ap(scores, right, 3, "Integral") == pytest.approx((1 + 2 / 3) / 3)
    # From 1/3 to 2/3 the best precision is that of the detection before: Caffe's generosity.
    assert ap(scores, right, 3, "MaxIntegral") == pytest.approx(1 / 3 * 2 / 3 + 1 / 3 * 1)
    for version in AP_VERSIONS:
        assert ap([0.5], [1], 1, version) == pytest.approx(1)
        assert ap([0.5], [0], 1, version) == 0
        assert ap([], [], 3, version) == 0
        assert ap([0.5], [0], 0, version) == 0


def test_a_recall_of_seven_tenths_lies_below_its_threshold() -> None:
    for boxes, found in ((10, 7), (10, 9)):
        assert ap([0.5] * found, [1] * found, boxes, "11point") == pytest.approx(found / 11)
    # Others fall on the other side of it.
    assert ap([0.5] * 6, [1] * 6, 10, "11point") == pytest.approx(7 / 11)


def test_equal_scores_keep_their_order() -> None:
    assert ap([0.5, 0.5], [1, 0], 1, "Integral") == 1
    assert ap([0.5, 0.5], [0, 1], 1, "Integral") == 0.5


def rows_of(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 5)


def test_the_mean_divides_by_every_class() -> None:
    tally = DetectionTally("Integral")
    tally.add(rows_of((-1, 1, 2, -1, -1), (-1, 2, 0, -1, -1), (-1, 3, 1, -1, -1), (0, 1, 0.9, 1, 0)))
    tally.add(rows_of((-1, 1, 1, -1, -1), (-1, 2, 0, -1, -1), (-1, 3, 0, -1, -1), (0, 2, 0.3, 0, 1)))
    result = tally.result()
    assert [(one.label, one.boxes, one.detections) for one in result.classes] == [
        (1, 3, 1), (2, 0, 1), (3, 1, 0),
    ]  # fmt: skip
    assert [one.ap for one in result.classes] == pytest.approx([1 / 3, 0, 0])
    assert result.mean == pytest.approx(1 / 9)
    assert result.has_detections


def test_what_is_neither_right_nor_wrong_does_not_count() -> None:
    tally = DetectionTally("Integral")
    tally.add(rows_of((-1, 1, 1, -1, -1), (0, 1, 0.9, 0, 0), (0, 1, 0.8, 1, 0)))
    (one,) = tally.result().classes
    assert (one.detections, one.ap) == (1, 1.0)


def test_nothing_detected_and_nothing_added() -> None:
    tally = DetectionTally("11point")
    assert (tally.result().mean, tally.result().classes) == (0.0, ())
    tally.add(rows_of((-1, 1, 4, -1, -1), (3, 1, 0.5, 0, 0)))
    assert not tally.result().has_detections
    assert tally.result().mean == 0


@pytest.mark.parametrize("version", AP_VERSIONS)
def test_many_batches_are_those_of_a_loop(version: str) -> None:
    rng = np.random.default_rng(5)
    batches = []
    for _ in range(7):
        counts = [(-1, label, rng.integers(5, 9), -1, -1) for label in range(1, 6)]
        right = rng.integers(0, 3, 31)
        found = np.stack(
            [rng.integers(0, 3, 31), rng.integers(1, 5, 31), rng.random(31).round(2), right == 1, right == 2],
            axis=1,
        )
        batches.append(np.concatenate([np.array(counts), found]).astype(np.float32))
    tally = DetectionTally(version)
    for batch in batches:
        tally.add(batch)
    scores, mean = oracle.mean_average_precision(np.concatenate(batches), version)
    result = tally.result()
    assert set(scores) == {1, 2, 3, 4}
    assert {one.label: one.ap for one in result.classes if one.detections} == scores
    assert result.mean == mean


def test_an_unknown_way_to_average_is_refused() -> None:
    with pytest.raises(
        NetError, match=r"ap_version is 'coco'; expected one of 11point, MaxIntegral, Integral"
    ):
        DetectionTally("coco")
