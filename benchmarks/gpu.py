"""Part `gpu`: training iterations on a CUDA device beside hand-written PyTorch, if there is such a device.

Also what CUDA graphs and torch.compile would add to either side, and how far the results on the card are
from those on the CPU.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import torch
from torch import Tensor

from benchmarks.measure import Sample, run_module, take_turns
from benchmarks.nets import TIMED, TimedNet, render_train_net
from benchmarks.page import Goal, Row, Section, Settings

TITLE: Final = "gpu: a training iteration on a CUDA device"
_TIMED: Final = next(replace(timed, batch_size=64) for timed in TIMED if timed.name == "mobilenet-v2")
_GOAL: Final = Goal(at_least=0.95)
_PRECISIONS: Final = ("fp32", "bf16")
_ORDERS: Final = ("contiguous", "channels_last")
_MEANS: Final = {"graph": "with a CUDA graph", "compile": "with torch.compile"}
_NOTES: Final = (
    "Forward, backward and update on a batch that lies on the device; the loss of each iteration is read. By"
    " hand in whichever memory order is faster.",
    "A CUDA graph holds the whole iteration; torch.compile makes the forward and its gradient. Neither is in"
    " what `caffeflow train` does.",
)


def measure(settings: Settings) -> Section:
    """Measures both precisions, or says that there is no device."""
    device = run_module("benchmarks.libraries")["cuda"]
    if device is None:
        return Section(title=TITLE, value_is="", notes=["not measured: no CUDA device."])
    notes = [f"On {device}.", *_NOTES]
    rows = [
        row for precision in _PRECISIONS for row in measure_speed(_TIMED, precision, "cuda", settings, notes)
    ]
    notes += compare_results(_TIMED, "cuda", settings)
    return Section(title=TITLE, value_is="times as fast", rows=rows, notes=notes)


def measure_speed(
    timed: TimedNet, precision: str, device: str, settings: Settings, notes: list[str]
) -> list[Row]:
    """Returns rows for one precision; what cannot be run on the device is told in the notes."""
    ours = Side("ours", timed, precision, device, settings)
    orders = [Side("by-hand", timed, precision, device, settings, order) for order in _ORDERS]
    samples = take_turns({str(side): side.time for side in (ours, *orders)}, repeats=settings.repeats)
    better = min(orders, key=lambda side: samples[str(side)].median)
    what = f"{timed.name}, batch {timed.batch_size}, {precision}"
    rows = [_row(what, samples[str(ours)], f"by hand, {better.order}", samples[str(better)], _GOAL)]
    for side, name in ((ours, what), (better, f"{what}, by hand")):
        for means, words in _MEANS.items():
            try:
                sample = take_turns({means: partial(side.time, means)}, repeats=settings.repeats)[means]
            except AssertionError as error:
                notes.append(f"{name} {words} does not run: {str(error).strip().splitlines()[-1]}")
            else:
                rows.append(_row(f"{name}, {words}", sample, "without", samples[str(side)], None))
    return rows


class Side:
    """One of those who train.

    Args:
        name: `ours` or `by-hand`.
        timed: The net.
        precision: `fp32` or `bf16`.
        device: PyTorch's name of it.
        settings: How to measure.
        order: Of the memory, by hand.
    """

    def __init__(
        self, name: str, timed: TimedNet, precision: str, device: str, settings: Settings,
        order: str = "contiguous",
    ) -> None:  # fmt: skip
        self.order: Final = order
        self._words: Final = [
            name, _net(timed, settings.scratch), "--name", timed.name, "--device", device,
            "--precision", precision, "--order", order,
        ]  # fmt: skip
        self._iterations: Final = "2" if settings.is_quick else "50"

    def __str__(self) -> str:
        """Returns what tells it from others."""
        return f"{self._words[0]} {self.order}"

    def time(self, means: str = "plain") -> float:
        """Returns the milliseconds of an iteration in a fresh process."""
        words = [*self._words, "--means", means, "--iterations", self._iterations]
        return float(run_module("benchmarks.gpu_child", *words)["ms"])


def compare_results(timed: TimedNet, device: str, settings: Settings) -> list[str]:
    """Returns lines about one pass on the device and the same in fp32 on the CPU."""
    places = {"the CPU": ("cpu", "fp32")} | {f"{device}, {name}": (device, name) for name in _PRECISIONS}
    found: dict[str, dict[str, Tensor]] = {}
    for place, (where, precision) in places.items():
        path = settings.scratch / f"{where}-{precision}.pt"
        net = _net(timed, settings.scratch)
        run_module(
            "benchmarks.gpu_child", "ours", net, "--name", timed.name, "--device", where,
            "--precision", precision, "--write", path,
        )  # fmt: skip
        found[place] = torch.load(path, weights_only=True)
    base = found.pop("the CPU")
    return [
        f"One pass on {place} beside the CPU: {_difference(base, other)}." for place, other in found.items()
    ]


def _difference(base: dict[str, Tensor], other: dict[str, Tensor]) -> str:
    """Says how far two passes are apart; single gradients of nets with BatchNorm differ by per cents."""
    loss = abs(float(other["loss"] - base["loss"])) / abs(float(base["loss"]))
    apart = sorted(
        float((other[name] - value).norm() / value.norm())
        for name, value in base.items()
        if name != "loss" and float(value.norm()) > 0
    )
    return (
        f"loss apart by {loss:.1e} of it, gradients by {median(apart):.1e} of their norm (median over"
        f" {len(apart)} blobs; largest {apart[-1]:.1e})"
    )


def _net(timed: TimedNet, scratch: Path) -> Path:
    path = scratch / f"{timed.name}-{timed.batch_size}.prototxt"
    if not path.exists():
        path.write_text(render_train_net(timed))
    return path


def _row(what: str, ours: Sample, peer: str, theirs: Sample, goal: Goal | None) -> Row:
    return Row(
        what=what, ours=ours.show("ms"), peer=peer, theirs=theirs.show("ms"),
        value=theirs.median / ours.median, goal=goal,
    )  # fmt: skip
