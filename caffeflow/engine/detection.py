"""What a test of detections asks of whoever scores them, and what comes of it.

The engine knows rows only, as DetectionEvaluate makes them; a workflow passes in what adds them up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

ROW: Final = 5  # image, label, score, right, wrong


class ClassScore(Protocol):
    """How one class was found."""

    @property
    def label(self) -> int:
        """Its number."""

    @property
    def boxes(self) -> int:
        """How many boxes of it there are to find."""

    @property
    def detections(self) -> int:
        """How many detections count."""

    @property
    def ap(self) -> float:
        """Its average precision."""


class DetectionScore(Protocol):
    """What the rows of an output amount to."""

    @property
    def mean(self) -> float:
        """The mean average precision."""

    @property
    def classes(self) -> Sequence[ClassScore]:
        """Each class but the background, by label."""

    @property
    def has_detections(self) -> bool:
        """Whether anything was detected."""


class Tally(Protocol):
    """Takes the rows of an output, batch after batch."""

    def add(self, rows: NDArray[np.float32]) -> None:
        """Counts a batch; rows: (M, 5)."""

    def result(self) -> DetectionScore:
        """Returns the figures so far."""


NewTally = Callable[[], Tally]


@dataclass(frozen=True, kw_only=True)
class Detected:
    """The score of one output blob.

    Attributes:
        place: The blob's number among the outputs.
    """

    place: int
    blob: str
    score: DetectionScore
