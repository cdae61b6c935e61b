"""What every feed offers to the training loop and to tests: batches, and the place in the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Position: TypeAlias = Mapping[str, int]


class Feed(Protocol):
    """The tops of one data layer, batch after batch, without end."""

    def next(self) -> tuple[Tensor, ...]:
        """Returns the layer's tops for the next batch: float32, on the CPU."""
        ...

    def position(self) -> dict[str, int]:
        """Returns where the batches handed out so far end; what was prefetched does not count."""
        ...

    def restore(self, position: Position) -> None:
        """Goes on from a position, exactly."""
        ...

    def close(self) -> None:
        """Stops the work in the background; the feed cannot be used any more."""
        ...
