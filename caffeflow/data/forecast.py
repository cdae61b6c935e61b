"""What a build will need, judged by a few of its images: bytes of each form of record, time, disk."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow import images
from caffeflow.data.convert import extension_of, read_image
from caffeflow.data.folder import free_bytes, used_bytes
from caffeflow.data.sample import Job, UnreadableError
from caffeflow.data.settings import BuildSettings, Encoding
from caffeflow.errors import DataError
from caffeflow.images import ImageError

SAMPLE: Final = 24

_PAGE_BYTES: Final = 4096
_RECORD_BYTES: Final = 64  # key, the Datum's other fields, the tree's entry
_SURE: Final = 0.9  # of a forecast that is this much over the free space, no doubt is left


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is to be expected.

    Attributes:
        images: In all splits.
        bytes_of: Disk space of each form that the backend can take.
        encoding: The form that will be taken.
        picture_bytes: Of one prepared picture in memory, the largest seen.
        seconds: A rough guess.
    """

    images: int
    bytes_of: Mapping[Encoding, int]
    encoding: Encoding
    picture_bytes: int
    seconds: float

    @property
    def needed_bytes(self) -> int:
        """Disk space of the form that will be taken."""
        return self.bytes_of[self.encoding]


@dataclass(frozen=True, slots=True)
class _Trial:
    """One image, tried in every form."""

    height: int
    width: int
    bytes_of: dict[Encoding, int]
    seconds_of: dict[Encoding, float]


def forecast(jobs: Sequence[Job], settings: BuildSettings, *, workers: int) -> Forecast:
    """Tries some of the jobs, and reckons for all."""
    count = min(SAMPLE, len(jobs))
    tried = [_find_trial(jobs[place * len(jobs) // count], settings) for place in range(count)]
    trials = [trial for trial in tried if trial is not None]
    has_boxes = any(job.annotation is not None for job in jobs[:1])
    encoding = settings.encoding_for([(trial.height, trial.width) for trial in trials], has_boxes=has_boxes)
    forms: tuple[Encoding, ...] = ("raw", "jpg", "png") if settings.backend == "lmdb" else ("jpg", "png")
    scale = len(jobs) / max(len(trials), 1)
    sums = {form: sum(_on_disk(trial.bytes_of[form]) for trial in trials) for form in forms}
    return Forecast(
        images=len(jobs),
        bytes_of={form: int(scale * size) for form, size in sums.items()},
        encoding=encoding,
        picture_bytes=max((trial.bytes_of["raw"] for trial in trials), default=0),
        seconds=scale * sum(trial.seconds_of[encoding] for trial in trials) / workers,
    )


def check_room(expected: Forecast, out_dir: Path) -> None:
    """Refuses to begin on a disk that is clearly too small.

    Raises:
        DataError: With what is needed and what is free.
    """
    free = free_bytes(out_dir)
    if expected.needed_bytes * _SURE > free:
        free += used_bytes(out_dir)  # counted only if it matters: there may be a million files
    if expected.needed_bytes * _SURE <= free:
        return
    choices = ", ".join(f"{form} {gigabytes(size)}" for form, size in expected.bytes_of.items())
    raise DataError(
        f"{out_dir}: {expected.images} images need about {gigabytes(expected.needed_bytes)} as "
        f"{expected.encoding}, and {gigabytes(free)} are free on that disk ({choices}); choose another "
        "--encode, a smaller --resize, a --limit, or another folder"
    )


def gigabytes(size: int) -> str:
    """Returns a size in words: `1.2 GB`, `35 MB`."""
    if size >= 100e6:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _find_trial(job: Job, settings: BuildSettings) -> _Trial | None:
    begin = time.perf_counter()
    try:
        content = job.location.read()
        image = read_image(job, content, settings)
    except (ImageError, UnreadableError):
        return None
    read_s = time.perf_counter() - begin
    bytes_of: dict[Encoding, int] = {"raw": image.size}
    seconds_of: dict[Encoding, float] = {"raw": read_s}
    forms: tuple[Encoding, ...] = ("jpg", "png")
    for form in forms:
        begin = time.perf_counter()
        is_kept = not settings.is_resized and not job.copy and extension_of(job.name) == form
        bytes_of[form] = len(content if is_kept else images.encode(image, form))
        seconds_of[form] = read_s + time.perf_counter() - begin
    return _Trial(image.shape[0], image.shape[1], bytes_of, seconds_of)


def _on_disk(size: int) -> int:
    """Returns what a record takes: whole pages, unless several fit into one."""
    size += _RECORD_BYTES
    return size if size < _PAGE_BYTES // 2 else -(-size // _PAGE_BYTES) * _PAGE_BYTES
