"""Part `loop`: a whole training iteration, beside a loop that one writes by hand in PyTorch.

Ours is `caffeflow train`'s own work: feed from an LMDB, forward, backward, update, smoothed loss, log and
table. By hand: the same net as nn.Modules, batches that lie in memory ready for use, torch.optim.SGD.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.measure import run_module, take_turns
from benchmarks.page import Goal, Row, Section, Settings
from benchmarks.trainings import Training, make_trainings

TITLE: Final = "loop: a whole training iteration"
_GOAL: Final = Goal(at_most=0.05)
_ITERATIONS: Final = {"mobilenet-v2": 10, "cifar10-quick": 80, "lenet": 300}
_ORDERS: Final = ("contiguous", "channels_last")
_NOTES: Final = (
    "The overhead is our time over that of the loop by hand, less 1; by hand in whichever memory order is"
    " faster. Each measurement is the mean over the iterations of a fresh process, without the first ones.",
    "The synthetic feed hands the same constants to every iteration, so the difference to the LMDB is the"
    " feed's share: with mobilenet-v2, decoding and cropping 256x256 JPEGs on the same cores.",
)


def measure(settings: Settings) -> Section:
    """Measures every training."""
    rows = [row for training in make_trainings(settings) for row in _measure(training, settings)]
    return Section(title=TITLE, value_is="overhead", rows=rows, notes=list(_NOTES))


def _measure(training: Training, settings: Settings) -> list[Row]:
    timed = training.timed
    iterations = 6 if settings.is_quick else _ITERATIONS[timed.name]
    by_hand = partial(_by_hand, timed.name, timed.batch_size)
    better = min(_ORDERS, key=lambda order: by_hand(max(iterations // 4, 3), order))
    sides: dict[str, Callable[[], float]] = {
        "lmdb": partial(_ours, training.solver, iterations, settings.scratch),
        "synthetic": partial(_ours, training.synthetic, iterations, settings.scratch),
        "by hand": partial(by_hand, iterations, better),
    }
    samples = take_turns(sides, repeats=settings.repeats)
    base = samples["by hand"]
    return [
        Row(
            what=f"{timed.name}, batch {timed.batch_size}, {feed}", ours=samples[side].show("ms"),
            peer=f"by hand, {better}", theirs=base.show("ms"),
            value=samples[side].median / base.median - 1, goal=goal,
        )
        for side, feed, goal in (("lmdb", "fed from an LMDB", _GOAL), ("synthetic", "synthetic feed", None))
    ]  # fmt: skip


def _ours(solver: Path, iterations: int, scratch: Path) -> float:
    return float(run_module("benchmarks.loop_child", "ours", solver, str(iterations), scratch / "runs"))


def _by_hand(name: str, batch_size: int, iterations: int, order: str) -> float:
    return float(
        run_module("benchmarks.loop_child", "by-hand", name, str(iterations), str(batch_size), order)
    )
