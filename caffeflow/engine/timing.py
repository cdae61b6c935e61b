"""How long a net takes: layer by layer as `caffe time` shows it, and as it really trains.

The one rule to know: every figure is a median over iterations on one made-up batch, after a warm-up;
reading and decoding images is not in it. Layer by layer means unfused, with every blob kept, so the sum
over layers is more than a training iteration takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import torch

from caffeflow.engine.modules.batch_norm import BatchNorm
from caffeflow.engine.net import Net, NetLayer
from caffeflow.engine.parameters import FlatParameters
from caffeflow.engine.stepwise import Direction, StepwiseExecutor
from caffeflow.engine.training import Feeds, FusedExecutor, Precision

_WARM_UPS: Final = 2


@dataclass(frozen=True, kw_only=True)
class PassTimes:
    """Seconds of a pass; `forward_backward` is None for a net without a loss to go back from."""

    forward: float
    forward_backward: float | None


@dataclass(frozen=True, kw_only=True)
class LayerTimes:
    """Seconds of one layer; `backward` is 0 where no gradient passes."""

    name: str
    type: str
    forward: float
    backward: float


def learns(net: Net) -> bool:
    """Whether a net has a backward pass: it is in phase TRAIN and has a loss."""
    return net.graph.phase == "TRAIN" and any(any(layer.loss_weights) for layer in net.layers)


def neutral_statistics(net: Net) -> None:
    """Gives BatchNorm layers that were never trained mean 0 and variance 1.

    With zeros their outputs grow 316 times a layer, and arithmetic on inf and nan has other timings.
    """
    for layer in net.layers:
        if isinstance(layer.module, BatchNorm) and not layer.module.factor.any():
            layer.module.variance.fill_(1)
            layer.module.factor.fill_(1)


def time_layers(net: Net, feeds: Feeds, *, iterations: int) -> tuple[PassTimes, list[LayerTimes]]:
    """Returns the times of a net run layer by layer, and those of each layer."""
    watch = _Watch()
    executor = StepwiseExecutor(net, observer=watch.note)
    flat = FlatParameters(net.learned, device=net.device)

    def prepare() -> None:
        flat.grad.zero_()
        watch.begin()

    return _measure(executor, feeds, prepare, iterations=iterations), watch.layers(net.layers, iterations)


def time_fused(net: Net, feeds: Feeds, *, precision: Precision, iterations: int) -> PassTimes:
    """Returns the times of a net run as it trains: fused, in the memory order that suits it."""
    executor = FusedExecutor(net, precision=precision)
    flat = FlatParameters(net.learned, device=net.device, channels_last=executor.channels_last)
    return _measure(executor, feeds, flat.grad.zero_, iterations=iterations)


class _Watch:
    """Collects what a stepwise executor tells about each layer."""

    def __init__(self) -> None:
        self._rounds: list[dict[tuple[int, Direction], float]] = []

    def begin(self) -> None:
        """A new iteration starts."""
        self._rounds.append({})

    def note(self, layer: NetLayer, direction: Direction, seconds: float) -> None:
        """One layer has run."""
        self._rounds[-1][layer.facts.node.index, direction] = seconds

    def layers(self, layers: Sequence[NetLayer], iterations: int) -> list[LayerTimes]:
        """Returns the medians over the last iterations."""
        rounds = self._rounds[-iterations:]

        def typical(layer: NetLayer, direction: Direction) -> float:
            return median(each.get((layer.facts.node.index, direction), 0.0) for each in rounds)

        return [
            LayerTimes(
                name=layer.name,
                type=layer.type,
                forward=typical(layer, "forward"),
                backward=typical(layer, "backward"),
            )
            for layer in layers
        ]


def _measure(
    executor: FusedExecutor | StepwiseExecutor,
    feeds: Feeds,
    prepare: Callable[[], object],
    *,
    iterations: int,
) -> PassTimes:
    net, goes_back = executor.net, learns(executor.net)
    forwards, boths = [], []
    for number in range(_WARM_UPS + iterations):
        prepare()
        begin = _now(net)
        executor.forward(feeds)
        middle = _now(net)
        if goes_back:
            executor.backward()
        end = _now(net)
        if number >= _WARM_UPS:
            forwards.append(middle - begin)
            boths.append(end - begin)
    return PassTimes(forward=median(forwards), forward_backward=median(boths) if goes_back else None)


def _now(net: Net) -> float:
    if net.device.type == "cuda":
        torch.cuda.synchronize(net.device)
    return time.perf_counter()
