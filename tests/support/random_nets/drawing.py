"""Random nets: the same net for the same seed, 5 to 25 layers with branches, joins and several losses.

    net = draw_net(7)
    net.text()      the prototxt
    net.feeds       a value for each input

Every third net is smooth (no kink where a gradient passes), every fourth a TEST net, every fifth has
`force_backward`; so all their combinations come up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.text import format_message
from tests.support.random_nets import (  # noqa: F401 - each enters its recipes in the table
    elementwise,
    endings,
    joins,
    learned,
    normalisation,
    sequences,
    shapes,
)
from tests.support.random_nets.endings import read_a_loss, silence_some
from tests.support.random_nets.recipes import GROWTH, LOSSES, Recipe
from tests.support.random_nets.sketch import NothingFits, Phase, Sketch
from tests.support.random_nets.sources import add_sources

FEWEST: Final = 5
MOST: Final = 25
_GROWN: Final = 16
"""So many layers at most before the losses, which with their labels and what reads them come to no more than eight."""


@dataclass(frozen=True, kw_only=True)
class RandomNet:
    """A drawn net, or what the shrinking left of one.

    Attributes:
        name: Says which.
        net: Its message.
        phase: TRAIN or TEST.
        smooth: No layer has a kink where a gradient passes.
        feeds: Input blob to its values.
        seed: What it was drawn from.
    """

    name: str
    net: NetParameter
    phase: Phase
    smooth: bool
    feeds: dict[str, np.ndarray]
    seed: int

    @property
    def types(self) -> set[str]:
        """The layer types in it."""
        return {layer.type for layer in self.net.layer}

    def text(self) -> str:
        """Returns the prototxt."""
        return format_message(self.net)

    def renamed(self, name: str) -> RandomNet:
        """Returns the same net under another name."""
        return replace(self, name=name)


def draw_net(seed: int) -> RandomNet:
    """Returns the net of a seed."""
    random = np.random.default_rng([seed, 6])
    sketch = Sketch(
        random=random,
        phase="TEST" if seed % 4 == 3 else "TRAIN",
        smooth=seed % 3 == 0,
        force=seed % 5 == 4,
    )
    add_sources(sketch)
    _grow(sketch, int(random.integers(FEWEST, _GROWN + 1)))
    _end(sketch, int(sketch.choose(1, 1, 2, 3)))
    if sketch.chance(0.15):
        read_a_loss(sketch)
    silence_some(sketch)
    name = f"random-{seed}"
    net = NetParameter(name=name, layer=sketch.layers)
    if sketch.force:
        net.force_backward = True
    return RandomNet(
        name=name, net=net, phase=sketch.phase, smooth=sketch.smooth, feeds=sketch.feeds, seed=seed
    )


def _grow(sketch: Sketch, layers: int) -> None:
    usable = [recipe for recipe in GROWTH if recipe.fits(sketch)]
    while len(sketch.layers) < layers:
        _add_one(sketch, usable, room=_GROWN - len(sketch.layers))


def _end(sketch: Sketch, losses: int) -> None:
    usable = [recipe for recipe in LOSSES if recipe.fits(sketch)]
    for _ in range(losses):
        _add_one(sketch, usable, room=3)


def _add_one(sketch: Sketch, recipes: Sequence[Recipe], *, room: int) -> None:
    """Adds by the first recipe, in a drawn order, that finds what it needs; what failed leaves nothing behind."""
    often = np.array([recipe.often for recipe in recipes], float)
    order = sketch.random.choice(len(recipes), len(recipes), replace=False, p=often / often.sum())
    for place in order:
        before = sketch.copy()
        try:
            recipes[place].draw(sketch)
        except NothingFits:
            sketch.restore(before)
            continue
        if len(sketch.layers) - len(before.layers) <= room:
            return
        sketch.restore(before)
