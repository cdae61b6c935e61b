from __future__ import annotations

import math

import numpy as np
import pytest

from caffeflow.proto.binary import LayerArrays
from caffeflow.weights.compare import LayerDifference, compare_layers


def layers(**arrays: np.ndarray) -> list[LayerArrays]:
    return [LayerArrays(name, "Scale", (), (), (array.astype(np.float32),)) for name, array in arrays.items()]


def only(rows: list[LayerDifference]) -> LayerDifference:
    (row,) = rows
    return row


def test_differences_are_measured_by_the_largest_and_by_their_norm() -> None:
    row = only(compare_layers(layers(a=np.array([3.0, 4, 0])), layers(a=np.array([3.0, 4, 0.5]))))
    assert (row.state, row.largest, row.relative) == ("different", 0.5, 0.1)
    assert not row.passes


@pytest.mark.parametrize(("tolerance", "state"), [(0.4, "different"), (0.5, "within tolerance")])
def test_tolerance_is_the_largest_difference_that_passes(tolerance: float, state: str) -> None:
    row = only(compare_layers(layers(a=np.ones(3)), layers(a=np.full(3, 1.5)), tolerance=tolerance))
    assert row.state == state


def test_layers_of_one_side_come_with_their_shapes() -> None:
    rows = compare_layers(layers(a=np.ones(2), b=np.ones((3, 5))), layers(c=np.ones(7), a=np.ones(2)))
    assert [(row.layer, row.state, row.first, row.second) for row in rows] == [
        ("a", "equal", ((2,),), ((2,),)),
        ("b", "first only", ((3, 5),), ()),
        ("c", "second only", (), ((7,),)),
    ]


def test_other_shapes_and_other_numbers_of_blobs_are_not_subtracted() -> None:
    row = only(compare_layers(layers(a=np.ones((2, 3))), layers(a=np.ones((3, 2)))))
    assert row.state == "other shapes"
    assert math.isnan(row.largest)
    two = [LayerArrays("a", "Scale", (), (), (np.ones(2, np.float32),) * 2)]
    assert only(compare_layers(layers(a=np.ones(2)), two)).state == "other shapes"


def test_four_dimensional_blobs_of_old_files_equal_those_of_today() -> None:
    old, new = layers(a=np.arange(5).reshape(1, 1, 1, 5)), layers(a=np.arange(5))
    assert only(compare_layers(old, new)).state == "equal"
    assert only(compare_layers(new, old)).state == "equal"


def test_equal_nan_are_equal_and_others_are_not() -> None:
    bad = np.array([1, math.nan, math.inf])
    assert only(compare_layers(layers(a=bad), layers(a=bad))).state == "equal"
    for other in (np.array([1, 2, math.inf]), np.array([1, math.nan, 2])):
        row = only(compare_layers(layers(a=bad), layers(a=other), tolerance=1e9))
        assert row.state == "different"
        assert math.isnan(row.largest)
    row = only(compare_layers(layers(a=bad), layers(a=np.array([1.5, math.nan, math.inf]))))
    assert (row.largest, row.relative) == (0.5, 0.5)
    assert only(compare_layers(layers(a=np.zeros(1)), layers(a=-np.zeros(1)))).largest == 0


def test_layers_without_blobs_do_not_count() -> None:
    assert compare_layers([LayerArrays("relu", "ReLU", (), (), ())], []) == []
