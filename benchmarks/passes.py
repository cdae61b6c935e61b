"""Part `passes`: forward-backward in phase TRAIN, beside `caffe time` and beside hand-written PyTorch.

All sides are fed with the same constants, run in fresh processes, and give the mean over their iterations,
which is what Caffe prints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import detection_net
from benchmarks.caffe_peer import CaffeTime, time_net
from benchmarks.measure import Sample, run_module, take_turns
from benchmarks.nets import TIMED, TimedNet, render_train_net
from benchmarks.page import Goal, Row, Section, Settings
from benchmarks.recurrent_nets import RECURRENT
from tests.support.native import SSD_TREE, NativeCaffe, find_ssd_caffe

TITLE: Final = "passes: forward and backward in phase TRAIN"
_GOALS: Final = {
    "mobilenet-v2": Goal(at_least=2),
    "caffenet": Goal(at_least=1.2),
    "cifar10-quick": Goal(at_least=1.8),
    "lenet": Goal(at_least=1),
}
_EXECUTORS: Final = ("training", "stepwise")
_THREADS: Final = (1, 2)
_DETECTION_ITERATIONS: Final = 3


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A net that is timed.

    Attributes:
        what: Its name and its batch.
        text: The net, fed with constants.
        iterations: How many make one measurement.
        caffe: The Caffe to compare with, if there is one that knows its layers.
        by_hand: The same net in PyTorch, if somebody wrote it.
        goal: For the training executor against Caffe.
    """

    what: str
    text: str
    iterations: int
    caffe: NativeCaffe | None
    by_hand: TimedNet | None = None
    goal: Goal | None = None


def measure(settings: Settings) -> Section:
    """Measures every net."""
    peer_times: list[CaffeTime] = []
    rows = [row for subject in _subjects(settings) for row in _measure(subject, settings, peer_times)]
    notes = [
        "`training` is the executor that trains and tests; `stepwise` goes layer by layer and keeps every"
        " blob's data and diff, for `import caffe`, debug_info and Python layers. Both are forward and"
        " backward, with the gradients cleared before.",
        "The peer is `caffe time` at whichever number of BLAS threads is better for the net, 1 or 2. Plain"
        " PyTorch is the same net by hand, in torch's default memory order, as a newcomer writes it.",
    ]
    if peer_times:
        notes.append(f"caffe time had {', '.join(sorted({one.blas for one in peer_times}))} mapped.")
    else:
        notes.append("There is no real Caffe on this machine: only PyTorch is compared.")
    if find_ssd_caffe() is None:
        notes.append(f"{SSD_TREE} names no built SSD fork: {detection_net.NAME} is compared with nothing.")
    return Section(title=TITLE, value_is="times as fast", rows=rows, notes=notes)


def time_by_hand(timed: TimedNet, *, iterations: int) -> float:
    """Returns the mean of a fresh process of plain PyTorch, in milliseconds."""
    words = ["by-hand", timed.name, "--batch-size", str(timed.batch_size), "--iterations", str(iterations)]
    return float(run_module("benchmarks.passes_child", *words))


def _subjects(settings: Settings) -> list[Subject]:
    pictures = [
        Subject(
            what=f"{timed.name}, batch {timed.batch_size}", text=render_train_net(timed),
            iterations=timed.iterations, caffe=settings.caffe, by_hand=timed, goal=_GOALS[timed.name],
        )
        for timed in TIMED
    ]  # fmt: skip
    boxes = Subject(
        what=f"{detection_net.NAME}, batch {detection_net.BATCH_SIZE}",
        text=detection_net.render_detection_net(), iterations=_DETECTION_ITERATIONS, caffe=find_ssd_caffe(),
    )  # fmt: skip
    sequences = [
        Subject(what=one.name, text=one.text(), iterations=one.iterations, caffe=settings.caffe)
        for one in RECURRENT
    ]
    return [*pictures, boxes, *sequences]


def _measure(subject: Subject, settings: Settings, peer_times: list[CaffeTime]) -> list[Row]:
    net = settings.scratch / "timed.prototxt"
    net.write_text(subject.text)
    iterations = 2 if settings.is_quick else subject.iterations
    sides: dict[str, Callable[[], float]] = {
        executor: partial(_ours_ms, executor, net, iterations) for executor in _EXECUTORS
    }
    if subject.by_hand is not None:
        sides["by hand"] = partial(time_by_hand, subject.by_hand, iterations=iterations)
    for threads in _THREADS if subject.caffe is not None else ():
        assert subject.caffe is not None
        sides[_peer(threads)] = partial(_caffe_ms, subject.caffe, net, iterations, threads, keep=peer_times)
    return list(_rows(subject, take_turns(sides, repeats=settings.repeats)))


def _ours_ms(executor: str, net: Path, iterations: int) -> float:
    return float(run_module("benchmarks.passes_child", executor, net, "--iterations", str(iterations)))


def _caffe_ms(
    caffe: NativeCaffe, net: Path, iterations: int, threads: int, *, keep: list[CaffeTime]
) -> float:
    keep.append(time_net(caffe, net, iterations=iterations, threads=threads))
    return keep[-1].forward_backward_ms


def _peer(threads: int) -> str:
    return f"caffe time, {threads} thread(s)"


def _rows(subject: Subject, samples: Mapping[str, Sample]) -> list[Row]:
    peers = [_peer(threads) for threads in _THREADS if _peer(threads) in samples]
    rows = []
    for executor in _EXECUTORS:
        what, ours = f"{subject.what}, {executor}", samples[executor]
        if peers:
            better = min(peers, key=lambda peer: samples[peer].median)
            goal = subject.goal if executor == "training" else None
            rows.append(_row(what, ours, better, samples[better], goal))
        else:
            rows.append(Row(what=what, ours=ours.show("ms")))
    if "by hand" in samples:
        what = f"{subject.what}, training"
        rows.append(_row(what, samples["training"], "plain PyTorch", samples["by hand"], None))
    return rows


def _row(what: str, ours: Sample, peer: str, theirs: Sample, goal: Goal | None) -> Row:
    return Row(
        what=what, ours=ours.show("ms"), peer=peer, theirs=theirs.show("ms"),
        value=theirs.median / ours.median, goal=goal,
    )  # fmt: skip
