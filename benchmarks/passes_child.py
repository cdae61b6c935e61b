"""Times forward and backward of one net in this process, and prints the mean in milliseconds.

python -m benchmarks.passes_child training|stepwise FILE | by-hand NET --batch-size N; each: --iterations N
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

from benchmarks.nets import TIMED, train_net
from benchmarks.plain_nets import build
from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.net import Net
from caffeflow.engine.parameters import FlatParameters
from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.engine.training import Feeds, FusedExecutor

_WARM_UP = 2


def main() -> None:
    """Reads what is asked for, times it, prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=["training", "stepwise", "by-hand"])
    parser.add_argument("subject")
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--batch-size", type=int)
    asked = parser.parse_args()
    if asked.side == "by-hand":
        run = by_hand(asked.subject, asked.batch_size)
    else:
        run = ours(Path(asked.subject), is_stepwise=asked.side == "stepwise")
    print(mean_ms(run, iterations=asked.iterations))


def ours(path: Path, *, is_stepwise: bool) -> Callable[[], object]:
    """Returns one pass of an executor of ours, over weights that lie as the solver lays them."""
    net = train_net(path)
    feeds = constants(net)
    executor: FusedExecutor | StepwiseExecutor
    if is_stepwise:
        executor, channels_last = StepwiseExecutor(net), False
    else:
        executor = FusedExecutor(net)
        channels_last = executor.channels_last
    flat = FlatParameters(net.learned, device=net.device, channels_last=channels_last)

    def run() -> None:
        flat.grad.zero_()
        executor.forward(feeds)
        executor.backward()

    return run


def constants(net: Net) -> Feeds:
    """Returns what a net's DummyData layers hold."""
    return {
        layer.name: tuple(
            top.to(net.device) for top in open_feed(layer.facts.node.layer, phase="TRAIN", seed=0).next()
        )
        for layer in net.fed
    }


def by_hand(name: str, batch_size: int) -> Callable[[], object]:
    """Returns one pass of the hand-written net."""
    record = next(timed.record for timed in TIMED if timed.name == name)
    net = build(name, channels_last=False)
    data = torch.ones(batch_size, *record)
    label = torch.ones(batch_size, dtype=torch.long)

    def run() -> None:
        net.zero_grad()
        loss = functional.cross_entropy(net(data), label)
        loss.backward()  # type: ignore[no-untyped-call]

    return run


def mean_ms(run: Callable[[], object], *, iterations: int) -> float:
    """Returns the mean time of a pass after a few that do not count."""
    for _ in range(_WARM_UP):
        run()
    start = time.perf_counter()
    for _ in range(iterations):
        run()
    return (time.perf_counter() - start) / iterations * 1000


if __name__ == "__main__":
    main()
