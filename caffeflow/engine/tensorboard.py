"""TensorBoard events, for those who have it installed."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def find_writer(folder: Path, *, purge_step: int | None = None) -> EventWriter | None:
    """Returns a writer of events into `folder`, or None if TensorBoard is not installed.

    Args:
        folder: Where TensorBoard looks.
        purge_step: Events of an earlier process from this iteration on are hidden.
    """
    if importlib.util.find_spec("tensorboard") is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports warn about themselves
        from torch.utils.tensorboard import SummaryWriter
    return EventWriter(SummaryWriter(str(folder), purge_step=purge_step))


class EventWriter:
    """Writes scalars.

    Args:
        writer: The library's own.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def add(self, iteration: int, values: Mapping[str, float]) -> None:
        """Writes values of an iteration by name; `/` in a name groups them."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def close(self) -> None:
        """Writes what is still in memory."""
        self._writer.close()
