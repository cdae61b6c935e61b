"""What folding does to nets of the catalogue: how many layers go, the worst difference, forward times.

    python -m benchmarks.fold_bn [NET ...] [--rounds N]

The one rule to know: the two nets take turns on the same batch, so that whatever else the machine does
meets both; a figure is a median over the turns, and the speed-up is the median of their ratios. Weights
are those of `weights init --calibrate`. The embedded engine fuses BatchNorm, Scale and ReLU by itself
("fused"); other runtimes do not, which "layer by layer" stands for.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Final

import torch
from rich.console import Console

from caffeflow.engine.net import Net
from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.engine.training import Feeds, FusedExecutor
from caffeflow.engine.typical_input import typical_feeds
from caffeflow.report.tables import table
from caffeflow.weights.folding import Folded, fold_net
from caffeflow.weights.formats import read_weights
from caffeflow.workflows.fold_bn import loaded, with_net
from caffeflow.workflows.open_net import Ask, open_net
from caffeflow.workflows.same_outputs import compare_nets
from caffeflow.workflows.weights import InitRequest, initialize
from caffeflow.workflows.weights_into_net import fitting


@dataclass(frozen=True)
class Subject:
    """A net of the catalogue, with the variables that are set."""

    net: str
    assignments: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What the table calls it."""
        return " ".join([self.net, *(f"{name}={value}" for name, value in self.assignments.items())])


SUBJECTS: Final = (
    Subject("mobilenet-v2"),
    Subject("mobilenet-v2:paper"),
    Subject("resnet50"),
    Subject("regnetx:800mf"),
    Subject("ssdlite", {"net.bn": "true"}),
)
_CALIBRATION: Final = (4, 8)  # batches, and images in each
_WARM_UPS: Final = 2


@dataclass(frozen=True, kw_only=True)
class Times:
    """Milliseconds of a forward of one image, and how many times as fast the second is."""

    before: float
    after: float
    speed_up: float


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured of one net; differences are shares of the largest value, the worst of all outputs."""

    label: str
    folded: Folded
    layers: tuple[int, int]
    in_double: float
    in_single: float
    fused: Times
    layer_by_layer: Times


def measure(subject: Subject, folder: Path, *, rounds: int) -> Figures:
    """Returns the figures of one net."""
    weights = folder / "weights.caffemodel"
    ask = Ask(net=subject.net, assignments=subject.assignments, batch_size=1)
    batches, size = _CALIBRATION
    training = replace(ask, phase="TRAIN", batch_size=size)
    initialize(InitRequest(ask=training, out=weights, is_calibrated=True, batches=batches, force=True))
    opened = open_net(ask)
    layers = fitting(opened, read_weights(weights), path=weights, asked=subject.net)
    folded = fold_net(opened.net, layers)
    before = loaded(opened, layers)
    after = loaded(with_net(opened, folded.net), folded.layers)
    feeds = typical_feeds(before, seed=0)
    double, single = (
        max(each.relative for each in compare_nets(before, after, [feeds], is_double=is_double))
        for is_double in (True, False)
    )
    return Figures(
        label=subject.label,
        folded=folded,
        layers=(len(before.layers), len(after.layers)),
        in_double=double,
        in_single=single,
        fused=_times([_fused(net, feeds) for net in (before, after)], rounds),
        layer_by_layer=_times([_stepwise(net, feeds) for net in (before, after)], rounds),
    )


def _fused(net: Net, feeds: Feeds) -> Callable[[], object]:
    executor = FusedExecutor(net)
    return lambda: executor.forward(feeds)


def _stepwise(net: Net, feeds: Feeds) -> Callable[[], object]:
    executor = StepwiseExecutor(net, gradients=False)
    return lambda: executor.forward(feeds)


def _times(runs: Sequence[Callable[[], object]], rounds: int) -> Times:
    turns = []
    for number in range(_WARM_UPS + rounds):
        seconds = [_seconds(run) for run in runs]
        if number >= _WARM_UPS:
            turns.append(seconds)
    before, after = (1000 * median(turn[place] for turn in turns) for place in (0, 1))
    return Times(before=before, after=after, speed_up=median(one / other for one, other in turns))


def _seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Measure what folding BatchNorm does.")
    parser.add_argument("nets", nargs="*", metavar="NET", help="only these")
    parser.add_argument("--rounds", type=int, default=15, help="turns that are measured [15]")
    arguments = parser.parse_args()
    chosen = [each for each in SUBJECTS if not arguments.nets or each.net in arguments.nets]
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for subject in chosen:
            rows.append(_row(measure(subject, Path(folder), rounds=arguments.rounds)))
            Console(stderr=True).print("  ".join(rows[-1]), soft_wrap=True)  # a long run is worth watching
    columns = (
        "net", ">layers", ">folded\n(stay)", ">worst difference\ndouble", ">\nsingle",
        ">fused, ms\nbefore", ">\nafter", ">\nspeed-up",
        ">layer by layer, ms\nbefore", ">\nafter", ">\nspeed-up",
    )  # fmt: skip
    title = f"one image, {torch.get_num_threads()} threads, CPU; medians of {arguments.rounds} turns"
    Console(width=150).print(table(columns, rows, title=title))


def _row(figures: Figures) -> list[str]:
    gone = sum(bool(row.into) for row in figures.folded.rows)
    before, after = figures.layers
    cells = [
        figures.label,
        f"{before} -> {after}",
        f"{gone} ({len(figures.folded.rows) - gone})",
        f"{figures.in_double:.1e}",
        f"{figures.in_single:.1e}",
    ]
    for times in (figures.fused, figures.layer_by_layer):
        cells += [f"{times.before:.1f}", f"{times.after:.1f}", f"{times.speed_up:.2f}"]
    return cells


if __name__ == "__main__":
    main()
