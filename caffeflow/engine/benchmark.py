"""The measurement of `caffe time`: a net run layer by layer on its own data, mean times of each layer.

The one rule to know: as in Caffe, the data is read anew in each iteration, the mean is taken over all of
them, and a layer that no gradient passes has 0 for its backward. `caffeflow.engine.timing` measures what a
training really takes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from caffeflow.engine.net import NetLayer
from caffeflow.engine.parameters import FlatParameters
from caffeflow.engine.standalone import StandaloneNet
from caffeflow.engine.stepwise import Direction, StepwiseExecutor
from caffeflow.engine.training import Feeds


@dataclass(frozen=True, kw_only=True)
class LayerMeans:
    """Mean seconds of one layer."""

    name: str
    forward: float
    backward: float


class Benchmark:
    """A net whose passes are timed one by one.

    Args:
        subject: The net with its data.

    Attributes:
        forward_seconds: Of all iterations.
        backward_seconds: Of all iterations.
    """

    def __init__(self, subject: StandaloneNet) -> None:
        self._subject: Final = subject
        self._net: Final = subject.net
        has_loss = any(any(layer.loss_weights) for layer in self._net.layers)
        # Caffe: every layer goes backward, so a net without a loss, such as a deploy file, does too.
        self._executor: Final = StepwiseExecutor(
            self._net, gradients=True, force_backward=not has_loss, observer=self._note
        )
        self._flat: Final = FlatParameters(self._net.learned, device=self._net.device)
        self._seconds: Final[dict[tuple[int, Direction], float]] = {}
        self.forward_seconds = 0.0
        self.backward_seconds = 0.0

    def first_forward(self) -> float:
        """Runs forward once, which is not counted, and returns the loss."""
        return float(self._executor.forward(self._subject.next_feeds()).loss)

    def first_backward(self) -> None:
        """Runs backward once; from here on it counts."""
        self._executor.backward()
        self._seconds.clear()

    def iterate(self) -> float:
        """Runs forward and backward once, and returns the seconds."""
        self._flat.grad.zero_()
        begin = self._now()
        self._executor.forward(self._read())
        middle = self._now()
        self._executor.backward()
        end = self._now()
        self.forward_seconds += middle - begin
        self.backward_seconds += end - middle
        return end - begin

    def layers(self, iterations: int) -> Sequence[LayerMeans]:
        """Returns the means over the iterations done."""
        return [
            LayerMeans(
                name=layer.name,
                forward=self._total(layer, "forward") / iterations,
                backward=self._total(layer, "backward") / iterations,
            )
            for layer in self._net.layers
        ]

    def _read(self) -> Feeds:
        """Reads a batch; the wait for it is the forward of the layer that brings it."""
        feeds = {}
        for layer in self._net.fed:
            begin = self._now()
            feeds[layer.name] = self._subject.next_tops(layer)
            self._note(layer, "forward", self._now() - begin)
        return feeds

    def _note(self, layer: NetLayer, direction: Direction, seconds: float) -> None:
        key = (layer.facts.node.index, direction)
        self._seconds[key] = self._seconds.get(key, 0.0) + seconds

    def _total(self, layer: NetLayer, direction: Direction) -> float:
        return self._seconds.get((layer.facts.node.index, direction), 0.0)

    def _now(self) -> float:
        if self._net.device.type == "cuda":
            torch.cuda.synchronize(self._net.device)
        return time.perf_counter()
