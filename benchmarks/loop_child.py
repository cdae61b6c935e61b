"""Times training iterations in this process, and prints the mean in milliseconds.

python -m benchmarks.loop_child ours SOLVER ITERATIONS RUNS | by-hand NET ITERATIONS BATCH_SIZE ORDER
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.nets import TIMED
from benchmarks.plain_nets import build
from caffeflow.workflows.train import train
from caffeflow.workflows.train_settings import TrainSettings

_BATCHES = 4  # that the loop by hand has ready


class Clock:
    """A screen that shows nothing and notes when an iteration is over."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def log(self, line: str) -> None:
        """Shows nothing."""

    main = note = log

    def progress(self, done: int, total: int, note: str) -> None:  # noqa: ARG002
        """Notes the time."""
        self.times.append(time.perf_counter())


def ours(solver: Path, iterations: int, runs: Path) -> list[float]:
    """Trains as the command does, and returns when each iteration was over."""
    clock = Clock()
    runs.mkdir(exist_ok=True)
    settings = TrainSettings(
        solver=solver, out_dir=Path(mkdtemp(dir=runs)), iterations=iterations, device="cpu"
    )
    train(settings, clock)
    return clock.times


def by_hand(name: str, iterations: int, batch_size: int, *, channels_last: bool) -> list[float]:
    """Trains as one writes it by hand, and returns when each iteration was over."""
    record = next(timed.record for timed in TIMED if timed.name == name)
    order = torch.channels_last if channels_last else torch.contiguous_format
    batches = [
        (torch.rand(batch_size, *record).to(memory_format=order), torch.randint(0, 10, (batch_size,)))
        for _ in range(_BATCHES)
    ]
    net = build(name, channels_last=channels_last)
    optimizer = _optimizer(net)
    times = []
    total = 0.0
    for number in range(iterations):
        data, label = batches[number % _BATCHES]
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(data), label)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += loss.item()
        times.append(time.perf_counter())
    assert total > 0
    return times


def _optimizer(net: nn.Module) -> torch.optim.Optimizer:
    """Returns SGD with twice the rate for biases, as Caffe's nets have it."""
    weights = [parameter for parameter in net.parameters() if parameter.dim() > 1]
    biases = [parameter for parameter in net.parameters() if parameter.dim() == 1]
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": biases, "lr": 2e-6}]
    return torch.optim.SGD(groups, lr=1e-6, momentum=0.9, weight_decay=5e-4)


def main(side: str, subject: str, iterations: str, place: str, order: str = "") -> None:
    """Does what is asked for, with some more iterations that do not count."""
    warm_up = max(3, int(iterations) // 10)
    count = int(iterations) + warm_up
    if side == "ours":
        times = ours(Path(subject), count, Path(place))
    else:
        times = by_hand(subject, count, int(place), channels_last=order == "channels_last")
    print((times[-1] - times[warm_up - 1]) / int(iterations) * 1000)


if __name__ == "__main__":
    main(*sys.argv[1:])
