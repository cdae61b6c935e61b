"""Top-1, top-5, classes and confusion against a count by loops; ties and scores that are no numbers."""

from __future__ import annotations

import numpy as np
import pytest

from caffeflow.errors import DataError
from caffeflow.evaluate.classification import Tally
from tests.support.oracles import classification as oracle


def test_figures_equal_a_count_by_loops() -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 6, (211, 7)).astype(np.float32)  # few values, so many ties
    labels = rng.integers(0, 6, 211).astype(np.float32)  # class 6 has no sample
    tally = Tally(7)
    for low in range(0, 211, 50):
        tally.add(scores[low : low + 50], labels[low : low + 50])
    found = tally.result()

    confusion = np.zeros((7, 7), int)
    top1 = top5 = 0
    for row, label in zip(scores, labels.astype(int), strict=True):
        confusion[label, oracle.taken_for(row, label)] += 1
        top1 += oracle.is_right(row, label, 1)
        top5 += oracle.is_right(row, label, 5)
    assert found.count == 211
    assert found.top1 == top1 / 211
    assert found.top5 == top5 / 211
    assert np.array_equal(found.confusion, confusion)
    assert found.confusion.trace() == top1
    for label in range(6):
        assert found.support[label] == (labels == label).sum()
        assert found.per_class[label] == confusion[label, label] / (labels == label).sum()
    assert np.isnan(found.per_class[6])
    assert found.broken == 0


def test_a_tie_counts_against_the_sample() -> None:
    tally = Tally(3)
    tally.add(np.array([[1, 1, 0], [0, 2, 2], [3, 1, 2]], np.float32), np.array([0, 1, 0]))
    found = tally.result()
    assert found.top1 == 1 / 3
    assert found.top5 is None
    assert found.confusion.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_scores_that_are_no_numbers_are_wrong_and_counted() -> None:
    tally = Tally(6)
    scores = np.eye(6, dtype=np.float32)
    scores[1, 4] = np.nan
    scores[2, 2] = np.inf
    tally.add(scores, np.arange(6))
    found = tally.result()
    assert (found.count, found.broken) == (6, 2)
    assert found.top1 == found.top5 == 4 / 6
    assert found.per_class.tolist() == [1, 0, 0, 1, 1, 1]


def test_the_most_confused_come_first() -> None:
    tally = Tally(3)
    truth = [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    taken = [1, 1, 0, 0, 0, 2, 2, 2, 1, 2, 2, 0]
    tally.add(np.eye(3)[taken], np.array(truth))
    assert tally.result().most_confused(2) == [(1, 2, 3), (0, 1, 2)]
    assert tally.result().most_confused(9) == [(1, 2, 3), (0, 1, 2), (2, 0, 1)]


@pytest.mark.parametrize("label", [-1, 3, 1000])
def test_a_label_that_is_no_class_is_an_error(label: int) -> None:
    with pytest.raises(DataError, match=rf"label {label} is no class of the net, which tells 3 apart"):
        Tally(3).add(np.zeros((2, 3)), np.array([0, label]))


def test_nothing_seen_yet() -> None:
    assert Tally(7).result().count == 0
    assert Tally(7).result().top1 == 0
