"""Part `passes`: forward-backward in phase TRAIN, beside `caffe time` and beside hand-written PyTorch.

All sides are fed with the same constants, run in fresh processes, and give the mean over their iterations,
which is what Caffe prints.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.caffe_peer import CaffeTime, time_net
from benchmarks.measure import Sample, run_module, take_turns
from benchmarks.nets import TIMED, TimedNet, render_train_net
from benchmarks.page import Goal, Row, Section, Settings
from tests.support.native import NativeCaffe

TITLE: Final = "passes: forward and backward in phase TRAIN"
_GOALS: Final = {
    "mobilenet-v2": Goal(at_least=2),
    "caffenet": Goal(at_least=1.2),
    "cifar10-quick": Goal(at_least=1.8),
    "lenet": Goal(at_least=1),
}
_THREADS: Final = (1, 2)


def measure(settings: Settings) -> Section:
    """Measures every net."""
    peer_times: list[CaffeTime] = []
    rows = [row for timed in TIMED for row in _measure_net(timed, settings, peer_times)]
    notes = [
        "The peer is `caffe time` at whichever number of BLAS threads is better for the net, 1 or 2. Ours is"
        " the training executor's forward and backward, with the gradients cleared before. Plain PyTorch is"
        " the same net by hand, in torch's default memory order, as a newcomer writes it.",
    ]
    if peer_times:
        notes.append(f"caffe time had {', '.join(sorted({one.blas for one in peer_times}))} mapped.")
    else:
        notes.append("There is no real Caffe on this machine: only PyTorch is compared.")
    return Section(title=TITLE, value_is="times as fast", rows=rows, notes=notes)


def _measure_net(timed: TimedNet, settings: Settings, peer_times: list[CaffeTime]) -> list[Row]:
    net = settings.scratch / f"{timed.name}.prototxt"
    net.write_text(render_train_net(timed))
    iterations = 2 if settings.is_quick else timed.iterations
    sides: dict[str, Callable[[], float]] = {
        "ours": partial(mean_ms, "ours", timed, iterations, net=net),
        "plain": partial(mean_ms, "plain", timed, iterations),
    }
    for threads in _THREADS if settings.caffe is not None else ():
        assert settings.caffe is not None
        sides[f"caffe {threads}"] = partial(
            _caffe_ms, settings.caffe, net, iterations, threads, keep=peer_times
        )
    samples = take_turns(sides, repeats=settings.repeats)
    ours, plain = samples["ours"], samples["plain"]
    what = f"{timed.name}, batch {timed.batch_size}"
    rows = []
    if settings.caffe is not None:
        better = min(_THREADS, key=lambda threads: samples[f"caffe {threads}"].median)
        peer = samples[f"caffe {better}"]
        rows.append(_row(what, ours, f"caffe time, {better} thread(s)", peer, _GOALS[timed.name]))
    return [*rows, _row(what, ours, "plain PyTorch", plain, None)]


def mean_ms(side: str, timed: TimedNet, iterations: int, *, net: Path | None = None, **options: Any) -> float:
    """Returns the mean of a fresh process of ours or of plain PyTorch."""
    words = [side, timed.name, "--batch-size", str(timed.batch_size), "--iterations", str(iterations)]
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return float(run_module("benchmarks.passes_child", *words, *(["--net", str(net)] if net else [])))


def _caffe_ms(
    caffe: NativeCaffe, net: Path, iterations: int, threads: int, *, keep: list[CaffeTime]
) -> float:
    keep.append(time_net(caffe, net, iterations=iterations, threads=threads))
    return keep[-1].forward_backward_ms


def _row(what: str, ours: Sample, peer: str, theirs: Sample, goal: Goal | None) -> Row:
    return Row(
        what=what, ours=ours.show("ms"), peer=peer, theirs=theirs.show("ms"),
        value=theirs.median / ours.median, goal=goal,
    )  # fmt: skip
