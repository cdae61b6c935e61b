"""Accuracy by counting, for each label, the other classes with at least its score."""

from __future__ import annotations

import numpy as np

from tests.support.oracles.softmax import positions


def accuracy(x, labels, *, axis=1, top_k=1, ignore=None):
    """The accuracy, and that of each class."""
    classes = x.shape[axis]
    seen, right = [0] * classes, [0] * classes
    for line, value in zip(positions(x.shape, axis), labels.flat, strict=True):
        label = int(value)
        if label == ignore:
            continue
        seen[label] += 1
        scores = x[line]
        rivals = sum(1 for c in range(classes) if c != label and scores[c] >= scores[label])
        right[label] += rivals < top_k
    overall = sum(right) / sum(seen) if sum(seen) else 0.0
    return np.array(overall), np.array([r / s if s else 0.0 for r, s in zip(right, seen, strict=True)])
