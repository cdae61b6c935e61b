"""What a data layer's source offers: a stream of items, and the decoded records that they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from caffeflow.data.readers.datum import Planes


@dataclass(frozen=True)
class Loaded:
    """Some records, decoded.

    Attributes:
        planes: Each (C, H, W), uint8 or float32, BGR; an array (N, C, H, W) if all are of one size anyway.
        labels: Theirs.
        is_costly: They had to be decoded, so that sharing the work pays.
    """

    planes: Sequence[Planes] | Planes
    labels: Sequence[int]
    is_costly: bool


class Records(Protocol):
    """Where a data layer's records come from."""

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def stream(self, start: int, *, step: int) -> Iterator[Any]:
        """Yields every `step`-th item without end, from number `start` on; cheap, in one thread."""
        ...

    def load(self, items: Sequence[Any]) -> Loaded:
        """Returns the records of some items, decoded; called from several threads."""
        ...

    def name(self, item: Any) -> str:
        """Returns what messages call an item's record."""
        ...

    def close(self) -> None:
        """Lets the source go."""
        ...
