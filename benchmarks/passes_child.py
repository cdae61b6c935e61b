"""Times forward and backward of one net in this process, and prints the mean in milliseconds.

python -m benchmarks.passes_child ours|plain NET --batch-size N --iterations N [--net FILE] …
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
from caffeflow.engine.parameters import FlatParameters
from caffeflow.engine.training import FusedExecutor

_WARM_UP = 2


def main() -> None:
    """Reads what is asked for, times it, prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=["ours", "plain"])
    parser.add_argument("name")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--net", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    asked = parser.parse_args()
    run = (ours if asked.side == "ours" else plain)(asked)
    print(mean_ms(run, iterations=asked.iterations, is_cuda=asked.device != "cpu"))


def ours(asked: argparse.Namespace) -> Callable[[], object]:
    """Returns one pass of our training executor, over weights that lie as the solver lays them."""
    device = torch.device(asked.device)
    net = train_net(asked.net, device=device)
    executor = FusedExecutor(net, precision=asked.precision)
    flat = FlatParameters(net.learned, device=device, channels_last=executor.channels_last)
    feeds = {
        layer.name: tuple(torch.ones(top, device=device) for top in layer.facts.tops) for layer in net.fed
    }

    def run() -> None:
        flat.grad.zero_()
        executor.forward(feeds)
        executor.backward()

    return run


def plain(asked: argparse.Namespace) -> Callable[[], object]:
    """Returns one pass of the hand-written net."""
    record = next(timed.record for timed in TIMED if timed.name == asked.name)
    net = build(asked.name, channels_last=False, device=asked.device)
    data = torch.ones(asked.batch_size, *record, device=asked.device)
    label = torch.ones(asked.batch_size, dtype=torch.long, device=asked.device)

    def run() -> None:
        net.zero_grad()
        with torch.autocast(data.device.type, torch.bfloat16, enabled=asked.precision == "bf16"):
            loss = functional.cross_entropy(net(data), label)
        loss.backward()  # type: ignore[no-untyped-call]

    return run


def mean_ms(run: Callable[[], object], *, iterations: int, is_cuda: bool) -> float:
    """Returns the mean time of a pass after a few that do not count."""
    for _ in range(_WARM_UP):
        run()
    if is_cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(iterations):
        run()
    if is_cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / iterations * 1000


if __name__ == "__main__":
    main()
