"""The mistakes of which a classifier was surest: what to look at first when its figures disappoint."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Mistake:
    """A record that was taken for another class.

    Attributes:
        number: The record's, in the order in which they were seen.
        label: What it is.
        taken_for: The class with the highest score.
        score: That score.
        pixels: The record.
    """

    number: int
    label: int
    taken_for: int
    score: float
    pixels: NDArray[Any]


class Mistakes:
    """Keeps the mistakes with the highest scores; of equal ones the earlier.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._heap: list[tuple[float, int, Mistake]] = []

    def add(self, number: int, label: int, scores: NDArray[Any], pixels: NDArray[Any]) -> None:
        """Looks at one record.

        Args:
            number: Its own.
            label: What it is.
            scores: (classes,)
            pixels: The record; copied if it is kept.
        """
        taken_for = int(scores.argmax())
        score = float(scores[taken_for])
        rank = (score, -number)
        is_kept = len(self._heap) < self._most or rank > self._heap[0][:2]
        if taken_for == label or not is_kept:
            return
        mistake = Mistake(number, label, taken_for, score, np.array(pixels))
        heapq.heappush(self._heap, (*rank, mistake))
        if len(self._heap) > self._most:
            heapq.heappop(self._heap)

    def worst(self) -> list[Mistake]:
        """Returns them, the highest score first."""
        return [mistake for *_, mistake in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]
