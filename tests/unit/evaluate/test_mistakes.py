"""Which mistakes are kept."""

from __future__ import annotations

import numpy as np

from caffeflow.evaluate.mistakes import Mistakes

RNG = np.random.default_rng(5)
SCORES = RNG.integers(0, 9, (101, 7)) / 9  # many are equal
LABELS = RNG.integers(0, 7, 101)


def kept(most: int) -> list[tuple[int, int, int, float]]:
    mistakes = Mistakes(most)
    for number, (scores, label) in enumerate(zip(SCORES, LABELS, strict=True)):
        mistakes.add(number, int(label), scores, np.full((1, 2, 3), number))
    return [(one.number, one.label, one.taken_for, one.score) for one in mistakes.worst()]


def test_the_surest_come_first_and_of_equal_ones_the_earlier() -> None:
    wrong = []
    for number, (scores, label) in enumerate(zip(SCORES.tolist(), LABELS.tolist(), strict=True)):
        best = scores.index(max(scores))
        if best != label:
            wrong.append((number, label, best, max(scores)))
    wrong.sort(key=lambda one: (-one[3], one[0]))
    assert kept(11) == wrong[:11]
    assert kept(200) == wrong


def test_pixels_are_copied() -> None:
    mistakes, pixels = Mistakes(3), np.zeros((1, 2, 2))
    mistakes.add(0, 1, np.array([1.0, 0.0]), pixels)
    pixels += 5
    assert mistakes.worst()[0].pixels.sum() == 0


def test_what_is_right_is_no_mistake() -> None:
    mistakes = Mistakes(3)
    mistakes.add(0, 1, np.array([0.0, 1.0]), np.zeros((1, 2, 2)))
    assert mistakes.worst() == []
