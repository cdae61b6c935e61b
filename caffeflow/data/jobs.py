"""The ordered job list: which images, in which order, and its file.

The file is written before the first image is read, so that a stopped build goes on without listing
again, in the same order. Each line is JSON: a string is a folder or archive, numbered as it comes; an
array is a job: name, label, number of its folder or archive, and then
a file's name | a member's offset and size | offset, channels, height and width of bare pixels.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from caffeflow.data.sample import File, Job, Location, Member, Pixels, check_job
from caffeflow.files import write_atomically


def arrange(jobs: Sequence[Job], *, limit: int | None, shuffle_seed: int | None) -> list[Job]:
    """Returns the jobs in the order in which they will be written.

    Args:
        jobs: In the source's order.
        limit: Takes this many, spread evenly, so that a list sorted by class keeps its classes.
        shuffle_seed: Shuffles by it, unless it is None.
    """
    count = len(jobs) if limit is None else min(limit, len(jobs))
    chosen = [jobs[(2 * place + 1) * len(jobs) // (2 * count)] for place in range(count)]
    if shuffle_seed is not None:
        random.Random(shuffle_seed).shuffle(chosen)  # noqa: S311 - an order, not a secret
    return chosen


def write_jobs(path: Path, jobs: Iterable[Job]) -> None:
    """Writes the list, whole or not at all."""
    write_atomically(path, (line.encode() + b"\n" for line in _lines(jobs)))


def read_jobs(path: Path, *, start: int = 0) -> Iterator[Job]:
    """Yields the jobs of a list file, from the one numbered `start` on."""
    places: list[Path] = []
    number = 0
    with path.open(encoding="ascii") as lines:
        for line in lines:
            if line.startswith('"'):
                places.append(Path(json.loads(line)))
                continue
            if number >= start:
                yield _job(json.loads(line), places)
            number += 1


def _lines(jobs: Iterable[Job]) -> Iterator[str]:
    numbers: dict[Path, int] = {}
    for job in jobs:
        check_job(job)
        place, rest = _split(job.location)
        if place not in numbers:
            numbers[place] = len(numbers)
            yield json.dumps(str(place))
        yield json.dumps([job.name, job.label, numbers[place], *rest], separators=(",", ":"))


def _split(location: Location) -> tuple[Path, tuple[str | int, ...]]:
    match location:
        case File(path):
            return path.parent, (path.name,)
        case Member(archive, offset, size):
            return archive, (offset, size)
        case Pixels(archive, offset, channels, height, width):
            return archive, (offset, channels, height, width)


def _job(fields: list[Any], places: list[Path]) -> Job:
    name, label, number, *rest = fields
    place = places[number]
    location: Location
    match len(rest):
        case 1:
            location = File(place / rest[0])
        case 2:
            location = Member(place, *rest)
        case _:
            location = Pixels(place, *rest)
    return Job(name=name, label=label, location=location)
