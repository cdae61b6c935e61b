"""Counting right answers one sample at a time, as BVLC's Accuracy layer does."""

from __future__ import annotations

import numpy as np


def is_right(scores: np.ndarray, label: int, best: int) -> bool:
    """Tells whether fewer than `best` other classes score at least as high as the label's."""
    ahead = 0
    for other, score in enumerate(scores):
        if other != label and score >= scores[label]:
            ahead += 1
    return ahead < best


def taken_for(scores: np.ndarray, label: int) -> int:
    """Returns the class that the sample counts for: a rival wins a tie, the first among equal rivals."""
    if is_right(scores, label, 1):
        return label
    best = -1
    for other, score in enumerate(scores):
        if other != label and score >= scores[label] and (best < 0 or score > scores[best]):
            best = other
    return best
