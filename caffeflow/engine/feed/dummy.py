"""DummyData: tops made up by fillers. A constant top is filled once, any other one for every batch."""

from __future__ import annotations

import torch
from torch import Tensor

from caffeflow.engine.feed.draws import Draws
from caffeflow.engine.feed.protocol import Position
from caffeflow.fillers import fill
from caffeflow.layers.spec import Shape
from caffeflow.proto.caffe_pb2 import FillerParameter, LayerParameter


class DummyFeed:
    """Makes the tops of a DummyData layer.

    Args:
        layer: The layer.
        shapes: One a top.
        draws: The layer's random numbers.
    """

    def __init__(self, layer: LayerParameter, shapes: tuple[Shape, ...], draws: Draws) -> None:
        given = list(layer.dummy_data_param.data_filler) or [FillerParameter(type="constant")]
        self._fillers = given * len(shapes) if len(given) == 1 else given
        self._shapes = shapes
        self._draws = draws
        self._at = 0
        # Caffe: all are filled at setup, those that are not constant again each time (dummy_data_layer.cpp).
        made = [self._make(top) for top in range(len(shapes))]
        self._constant = {
            top: tensor for top, tensor in enumerate(made) if self._fillers[top].type == "constant"
        }

    @property
    def constant(self) -> frozenset[int]:
        """The numbers of the tops that are filled once only."""
        return frozenset(self._constant)

    def next(self) -> tuple[Tensor, ...]:
        """Returns the tops of the next batch."""
        made = tuple(
            self._constant[top] if top in self._constant else self._make(top)
            for top in range(len(self._shapes))
        )
        self._at += 1
        return made

    def position(self) -> dict[str, int]:
        """Returns how many batches were handed out."""
        return {"batch": self._at}

    def restore(self, position: Position) -> None:
        """Goes on from a position, exactly."""
        self._at = position["batch"]

    def close(self) -> None:
        """Does nothing: nothing runs in the background."""

    def _make(self, top: int) -> Tensor:
        rng = self._draws.generator(self._at * len(self._shapes) + top)
        return torch.from_numpy(fill(self._fillers[top], self._shapes[top], rng))
