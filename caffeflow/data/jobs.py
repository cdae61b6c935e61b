"""The ordered job list: which images, in which order, and its file.

The file is written before the first image is read, so that a stopped build goes on without listing
again, in the same order. Each line is JSON: a string is a folder or archive, numbered as it comes; an
array is a job: name, label, number of its folder or archive, and then
a file's name | a member's offset and size | offset, stored size and size of a deflated member |
offset, channels, height and width of bare pixels.
With boxes it ends in an array of its own: height, width, file and image of the annotation, then for each box
label, xmin, ymin, xmax, ymax, difficult. That of a changed copy ends in {"copy": its number}.
"""

from __future__ import annotations

import json
import random
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from caffeflow.data.boxes import Annotation, Box
from caffeflow.data.made_jobs import MadeJobs
from caffeflow.data.sample import Deflated, File, Job, Location, Member, Pixels, check_job
from caffeflow.files import write_atomically

_BOX_FIELDS: Final = 6


class Arranged(MadeJobs):
    """Jobs of several lists in another order; those of a packed list are still made when asked for.

    Args:
        lists: The lists, one after the other.
        order: Numbers of the jobs, counted over all lists; all as they are by default.
    """

    def __init__(self, lists: Sequence[Sequence[Job]], order: Iterable[int] | None = None) -> None:
        self._lists = lists
        self._begins = [0, *accumulate(map(len, lists))]
        self._order = array("Q", range(self._begins[-1]) if order is None else order)

    def __len__(self) -> int:
        return len(self._order)

    def _make(self, position: int) -> Job:
        number = self._order[position]
        which = bisect_right(self._begins, number) - 1
        return self._lists[which][number - self._begins[which]]


class CopiedJobs(MadeJobs):
    """The jobs of a list once more, for copies that are changed at random.

    Args:
        jobs: The list.
        copy: Number of these copies, from 1.
    """

    def __init__(self, jobs: Sequence[Job], copy: int) -> None:
        self._jobs = jobs
        self._copy = copy

    def __len__(self) -> int:
        return len(self._jobs)

    def _make(self, position: int) -> Job:
        return replace(self._jobs[position], copy=self._copy)


def arrange(
    jobs: Sequence[Job], *, limit: int | None, shuffle_seed: int | None, copies: int = 0
) -> Sequence[Job]:
    """Returns the jobs in the order in which they will be written.

    Args:
        jobs: In the source's order.
        limit: Takes this many, spread evenly, so that a list sorted by class keeps its classes.
        shuffle_seed: Shuffles by it, unless it is None.
        copies: So many more of each that was taken; shuffled among all, else list after list.
    """
    count = len(jobs) if limit is None else min(limit, len(jobs))
    chosen = [(2 * place + 1) * len(jobs) // (2 * count) for place in range(count)]
    chosen = [len(jobs) * copy + place for copy in range(copies + 1) for place in chosen]
    if shuffle_seed is not None:
        random.Random(shuffle_seed).shuffle(chosen)  # noqa: S311 - an order, not a secret
    return Arranged([jobs, *(CopiedJobs(jobs, copy) for copy in range(1, copies + 1))], chosen)


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
        boxes = () if job.annotation is None else (_packed(job.annotation),)
        copy = ({"copy": job.copy},) if job.copy else ()
        yield json.dumps([job.name, job.label, numbers[place], *rest, *boxes, *copy], separators=(",", ":"))


def _split(location: Location) -> tuple[Path, tuple[str | int, ...]]:
    match location:
        case File(path):
            return path.parent, (path.name,)
        case Member(archive, offset, size):
            return archive, (offset, size)
        case Deflated(archive, offset, stored_size, size):
            return archive, (offset, stored_size, size)
        case Pixels(archive, offset, channels, height, width):
            return archive, (offset, channels, height, width)


def _job(fields: list[Any], places: list[Path]) -> Job:
    name, label, number, *rest = fields
    place = places[number]
    copy = rest.pop()["copy"] if isinstance(rest[-1], dict) else 0
    annotation = _annotation(rest.pop()) if isinstance(rest[-1], list) else None
    location: Location
    match len(rest):
        case 1:
            location = File(place / rest[0])
        case 2:
            location = Member(place, *rest)
        case 3:
            location = Deflated(place, *rest)
        case _:
            location = Pixels(place, *rest)
    return Job(name=name, label=label, location=location, annotation=annotation, copy=copy)


def _packed(annotation: Annotation) -> list[str | int | float]:
    packed: list[str | int | float]
    packed = [annotation.height, annotation.width, annotation.file, annotation.image_id]
    for box in annotation.boxes:
        packed += (box.label, box.xmin, box.ymin, box.xmax, box.ymax, int(box.is_difficult))
    return packed


def _annotation(packed: list[Any]) -> Annotation:
    height, width, file, image_id, *fields = packed
    boxes = []
    for at in range(0, len(fields), _BOX_FIELDS):
        label, xmin, ymin, xmax, ymax, difficult = fields[at : at + _BOX_FIELDS]
        boxes.append(
            Box(label=label, xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax, is_difficult=bool(difficult))
        )
    return Annotation(boxes=tuple(boxes), height=height, width=width, file=file, image_id=image_id)
