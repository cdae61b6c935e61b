"""Part `feed`: AnnotatedData with SSD's augmentation, beside decoding and resizing the same JPEGs alone.

All sides have the JPEGs in memory or in the page cache, and work in as many threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.feed_child import BATCH_SIZE, write_records
from benchmarks.measure import Sample, run_module, take_turns
from benchmarks.page import Goal, Row, Section, Settings
from benchmarks.photos import make_photos
from caffeflow.system import usable_cores

TITLE: Final = "feed: augmented 300x300 samples for SSD"
_GOAL: Final = Goal(at_least=0.5)
_ROUNDS: Final = 4  # that each photo is seen in


@dataclass(frozen=True, kw_only=True)
class Task:
    """What every side is given: `samples` pictures of a database, over and over."""

    database: Path
    samples: int


def measure(settings: Settings) -> Section:
    """Measures the augmented feed, the feed of a test net, and what they cannot do without."""
    paths, kind = _jpegs(settings)
    database = settings.scratch / "boxed_lmdb"
    write_records(database, paths)
    batches = 4 if settings.is_quick else -(-len(paths) * _ROUNDS // BATCH_SIZE)
    task = Task(database=database, samples=batches * BATCH_SIZE)
    sides = {name: partial(_seconds, task, name) for name in ("augmented", "resized", "mixed", "bilinear")}
    rates = {name: _rate(sample, task) for name, sample in _measured(sides, settings).items()}
    size_kilobytes = sum(path.stat().st_size for path in paths) / len(paths) / 1000
    return Section(
        title=TITLE,
        value_is="times as fast",
        rows=[
            _row("augmented", rates, "mixed", "decoding and resizing, the same interpolations", _GOAL),
            _row("augmented", rates, "bilinear", "decoding and resizing, bilinear"),
            _row("resized", rates, "bilinear", "decoding and resizing, bilinear"),
        ],
        notes=[
            f"Samples a second and core, of {usable_cores()} cores; {len(paths)} {kind} with"
            f" {size_kilobytes:.0f} KB each, {task.samples} samples.",
            "`augmented` is the train net of the published SSDs: distortion, expansion up to fourfold, seven"
            " batch samplers, one of five interpolations, mirroring, mean and scale. `resized` is their test"
            " net: bilinear, mean and scale.",
            "Of the five interpolations AREA takes six times as long as the bilinear one and LANCZOS4 fifteen"
            " times, so the goal is about resizing by all five in turn; the second row shows the other, too.",
        ],
    )


def _jpegs(settings: Settings) -> tuple[list[Path], str]:
    if settings.jpegs is not None:
        found = sorted(settings.jpegs.rglob("*.jpg"))
        assert found, f"{settings.jpegs} has no *.jpg"
        return found, f"JPEGs of {settings.jpegs.name}"
    photos = make_photos(24) if settings.is_quick else make_photos()
    return [photos.root / name for name in photos.names], "made JPEGs of about 500x375"


def _measured(sides: dict[str, Callable[[], float]], settings: Settings) -> dict[str, Sample]:
    return take_turns(sides, repeats=settings.repeats)


def _seconds(task: Task, side: str) -> float:
    return float(run_module("benchmarks.feed_child", side, task.database, str(task.samples)))


def _rate(seconds: Sample, task: Task) -> Sample:
    return Sample(tuple(task.samples / value / usable_cores() for value in seconds.values))


def _row(side: str, rates: dict[str, Sample], peer: str, words: str, goal: Goal | None = None) -> Row:
    return Row(
        what=side,
        ours=rates[side].show("samples/s"),
        peer=words,
        theirs=rates[peer].show("samples/s"),
        value=rates[side].median / rates[peer].median,
        goal=goal,
    )
