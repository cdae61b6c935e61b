"""How a layer of each type is added to a net: the table that the recipes enter themselves in.

A recipe picks blobs that its type can read, draws settings for their shapes, and says what is known of the
tops. It raises `NothingFits` where the net has nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.support.random_nets.sketch import Sketch

Draw = Callable[[Sketch], None]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to go on with a net.

    Attributes:
        name: The layer type, and what is special.
        draw: Adds the layer, and inputs that it needs.
        kinks: Its gradient jumps somewhere, so that it has no place in a smooth net.
        forced: It may stand in a net with `force_backward`, where Caffe asks it for all gradients.
        often: How many times as likely as others it is.
    """

    name: str
    draw: Draw
    kinks: bool = False
    forced: bool = True
    often: int = 1

    def fits(self, sketch: Sketch) -> bool:
        """Whether a net of this sort may have it."""
        return not (sketch.smooth and self.kinks) and (self.forced or not sketch.force)


GROWTH: Final[list[Recipe]] = []
"""What makes a net grow, losses apart."""

LOSSES: Final[list[Recipe]] = []
"""What a net ends in."""


def grows(name: str, *, kinks: bool = False, forced: bool = True, often: int = 1) -> Callable[[Draw], Draw]:
    """Enters a recipe among those that make a net grow; see `Recipe`."""
    return _entering(GROWTH, name, kinks=kinks, forced=forced, often=often)


def loses(name: str, *, kinks: bool = False, forced: bool = True) -> Callable[[Draw], Draw]:
    """Enters a recipe among the losses and scores; see `Recipe`."""
    return _entering(LOSSES, name, kinks=kinks, forced=forced, often=1)


def _entering(
    table: list[Recipe], name: str, *, kinks: bool, forced: bool, often: int
) -> Callable[[Draw], Draw]:
    def enter(draw: Draw) -> Draw:
        assert name not in {recipe.name for recipe in table}, f"two recipes are called {name}"
        table.append(Recipe(name=name, draw=draw, kinks=kinks, forced=forced, often=often))
        return draw

    return enter
