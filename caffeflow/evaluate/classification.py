"""Counting what a classifier gets right: top-1, top-5, each class, and which classes are confused.

Caffe's rule (Accuracy in BVLC's tree): a sample is right within the best k if fewer than k other classes
score at least as high as its own, so a tie counts against it. A sample with a score that is not a number
is wrong here, where Caffe would call it right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.errors import DataError

_BEST: Final = 5


@dataclass(frozen=True, kw_only=True)
class Classification:
    """The figures of a test.

    Attributes:
        top1: Share of samples whose class scores best.
        top5: Share whose class is among the best five; None with five classes or fewer.
        support: Samples of each class.
        confusion: Samples of each class (row) that were taken for each class (column); a tie is taken
            for the other class, so that the diagonal is what top-1 counts. Without broken samples.
        broken: Samples whose scores are not all numbers.
    """

    top1: float
    top5: float | None
    support: NDArray[np.int64]
    confusion: NDArray[np.int64]
    broken: int

    @property
    def count(self) -> int:
        """Samples seen."""
        return int(self.support.sum())

    @property
    def per_class(self) -> NDArray[np.float64]:
        """Share of each class's samples that are right; NaN for a class without samples."""
        right = self.confusion.diagonal().astype(np.float64)
        shares = np.full(len(right), np.nan)
        np.divide(right, self.support, out=shares, where=self.support > 0)
        return shares

    def most_confused(self, limit: int) -> list[tuple[int, int, int]]:
        """Returns class, what it was taken for, and how often; the most frequent first."""
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
        pairs = (divmod(int(place), len(wrong)) for place in order)
        return [(truth, taken, int(wrong[truth, taken])) for truth, taken in pairs if wrong[truth, taken]]


class Tally:
    """Counts batch after batch.

    Args:
        classes: How many classes the net tells apart.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._support: NDArray[np.int64] = np.zeros(classes, np.int64)
        self._confusion: NDArray[np.int64] = np.zeros((classes, classes), np.int64)
        self._among_best = 0
        self._broken = 0

    def add(self, scores: NDArray[Any], labels: NDArray[Any]) -> None:
        """Counts a batch.

        Args:
            scores: (N, classes)
            labels: (N,), whole numbers.

        Raises:
            DataError: A label is no class of the net.
        """
        self.check(labels)
        truth = labels.astype(np.int64)
        np.add.at(self._support, truth, 1)
        is_whole = np.isfinite(scores).all(axis=1)
        self._broken += int((~is_whole).sum())
        self._add_whole(scores[is_whole], truth[is_whole])

    def check(self, labels: NDArray[Any]) -> None:
        """Looks at the labels of a batch (N,).

        Raises:
            DataError: One is no class of the net.
        """
        foreign = labels[(labels < 0) | (labels >= self._classes)]
        if len(foreign):
            raise DataError(
                f"label {int(foreign[0])} is no class of the net, which tells {self._classes} apart"
                f" (0 to {self._classes - 1}); test it on the data that it was trained for"
            )

    def result(self) -> Classification:
        """Returns the figures so far."""
        count = max(int(self._support.sum()), 1)
        return Classification(
            top1=int(self._confusion.trace()) / count,
            top5=self._among_best / count if self._classes > _BEST else None,
            support=self._support.copy(),
            confusion=self._confusion.copy(),
            broken=self._broken,
        )

    def _add_whole(self, scores: NDArray[Any], truth: NDArray[np.int64]) -> None:
        samples = np.arange(len(truth))
        rivals = scores >= scores[samples, truth][:, None]
        rivals[samples, truth] = False
        ahead = rivals.sum(axis=1)
        best_rival = np.where(rivals, scores, -np.inf).argmax(axis=1)
        np.add.at(self._confusion, (truth, np.where(ahead == 0, truth, best_rival)), 1)
        self._among_best += int((ahead < _BEST).sum())
