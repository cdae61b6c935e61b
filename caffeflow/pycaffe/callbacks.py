"""What a script wants to be told of each layer of a pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final

from caffeflow.engine.stepwise import Direction

Callback = Callable[[int], object]
"""Called with the number of the layer."""


class Callbacks:
    """Four lists of functions; the executor calls them around each layer."""

    def __init__(self) -> None:
        self._before: Final[dict[Direction, list[Callback]]] = defaultdict(list)
        self._after: Final[dict[Direction, list[Callback]]] = defaultdict(list)

    def add_before(self, direction: Direction, callback: Callback) -> None:
        """Calls a function before each layer of a direction."""
        self._before[direction].append(callback)

    def add_after(self, direction: Direction, callback: Callback) -> None:
        """Calls a function after each layer of a direction."""
        self._after[direction].append(callback)

    def before(self, layer: int, direction: Direction) -> None:
        """The layer of this number is next."""
        for callback in self._before[direction]:
            callback(layer)

    def after(self, layer: int, direction: Direction) -> None:
        """The layer of this number is done."""
        for callback in self._after[direction]:
            callback(layer)
