"""Checks a dataset record by record against its manifest, and counts what a bare LMDB or list holds."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from caffeflow import images
from caffeflow.data import digest
from caffeflow.data.box_census import BoxCensus
from caffeflow.data.folder import LABELS_NAME
from caffeflow.data.manifest import Manifest, Split, read_manifest
from caffeflow.data.pipeline import ordered_map, window_for
from caffeflow.data.records import Records, Seen, Stored, open_records
from caffeflow.data.verify_boxes import check_boxes, check_label_map, check_name_size
from caffeflow.errors import CaffeflowError, DataError
from caffeflow.proto.binary import read_binaryproto
from caffeflow.system import usable_cores

LISTED: Final = 20  # problems of one split that are told one by one

_KEY: Final = re.compile(rb"(\d{8,})_")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a check found: records seen, and what is wrong with them, a sentence each."""

    records: int
    problems: tuple[str, ...]


@dataclass(kw_only=True)
class Census:
    """What the records of an LMDB or list are, counted.

    Attributes:
        count: All of them.
        labels: Records of each label; of records with boxes, these.
        boxes: What is known of them.
        shapes: Records of each (C, H, W).
        forms: Records of each form: `raw`, `jpeg`, `png`.
        broken: Sentences about those that cannot be decoded; they are in `count` alone.
        chain: The digest, see `digest.py`.
        disorder: The first two keys of which the second should come first, or should not be there.
    """

    count: int = 0
    labels: Counter[int] = field(default_factory=Counter)
    boxes: BoxCensus = field(default_factory=BoxCensus)
    shapes: Counter[tuple[int, ...]] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    chain: bytes = digest.CHAIN_START
    disorder: tuple[str, str] | None = None

    def add(self, seen: Seen | str, name: str) -> None:
        """Counts a record, or a sentence about a broken one."""
        self.count += 1
        if isinstance(seen, str):
            self.broken.append(seen)
            return
        if seen.boxes is None:
            self.labels[seen.label] += 1
        else:
            self.labels.update(seen.boxes[:, 0].astype(int).tolist())
            self.boxes.add(name, seen.boxes)
        self.shapes[seen.planes.shape] += 1
        self.forms[seen.form] += 1
        self.chain = digest.extend(self.chain, seen.digest)


def take_census(records: Records, on_progress: Callable[[int], None]) -> Census:
    """Decodes every record, in parallel, and counts.

    Args:
        records: An open LMDB or list.
        on_progress: Gets how many are done.
    """
    images.use_one_thread()
    census = Census()

    def read(stored: Stored) -> tuple[Seen | str, str]:
        name = os.fsdecode(stored.key)
        try:
            return records.read(stored), name
        except DataError as error:
            return str(error), name

    workers = usable_cores()
    stored = _watching_order(records.once(), census)
    window = window_for(item_bytes=1 << 20, workers=workers)
    with closing(ordered_map(read, stored, workers=workers, window=window)) as chunks:
        for chunk in chunks:
            for seen, name in chunk:
                census.add(seen, name)
            on_progress(census.count)
    return census


def verify(
    folder: Path, on_progress: Callable[[str, int, int], None] = lambda _split, _done, _total: None
) -> Verdict:
    """Checks all of a dataset.

    Args:
        folder: The dataset folder.
        on_progress: Gets the split, how many of its records are done, and of how many.

    Raises:
        DataError: The folder holds no finished dataset.
    """
    manifest = read_manifest(folder)
    problems = [*_check_mean(folder, manifest), *_check_names(folder, manifest)]
    seen = 0
    for name, split in manifest.splits.items():

        def tell(done: int, name: str = name, total: int = split.count) -> None:
            on_progress(name, done, total)

        try:
            records = open_split(folder, manifest, name)
        except DataError as error:
            problems.append(f"{name}: {error}")
            continue
        with closing(records):
            census = take_census(records, tell)
            if split.name_size is not None:
                names = [os.fsdecode(stored.key).partition("_")[2] for stored in records.once()]
                problems += check_name_size(folder / split.name_size, names)
        seen += census.count
        problems += [f"{name}: {problem}" for problem in _compare(census, split, manifest)]
    return Verdict(records=seen, problems=tuple(problems))


def open_split(folder: Path, manifest: Manifest, name: str) -> Records:
    """Opens a split of a dataset as its reader would."""
    split = manifest.splits[name]
    root = None if split.root is None else folder / split.root
    return open_records(folder / split.path, root=root, mode="gray" if manifest.channels == 1 else "color")


def _watching_order(stored: Iterator[Stored], census: Census) -> Iterator[Stored]:
    """Passes records on, and notes the first key of an LMDB whose number does not follow."""
    last = b""
    number = -1
    for record in stored:
        if record.value is not None and census.disorder is None:
            match = _KEY.match(record.key)
            if match is None or int(match[1]) <= number:
                census.disorder = (last.decode(errors="replace"), record.key.decode(errors="replace"))
            else:
                last, number = record.key, int(match[1])
        yield record


def _compare(census: Census, split: Split, manifest: Manifest) -> Iterator[str]:
    yield from census.broken[:LISTED]
    if len(census.broken) > LISTED:
        yield f"{len(census.broken) - LISTED} more records cannot be decoded"
    if census.count != split.count:
        yield f"holds {census.count} records; the manifest says {split.count}"
    if census.disorder is not None:
        yield f"key '{census.disorder[1]}' after '{census.disorder[0]}': expected rising eight-digit numbers"
    if manifest.task == "detection":
        yield from check_boxes(census.boxes, census.labels, split, manifest)
    strange = sorted(label for label in census.labels if not 0 <= label < manifest.classes)
    if strange:
        yield f"label {strange[0]} is out of range: expected 0 to {manifest.classes - 1}"
    if census.labels != Counter(split.labels):
        yield "labels are not distributed as the manifest says"
    declared = (manifest.channels, manifest.height, manifest.width)
    for shape, count in census.shapes.items():
        if any(known is not None and known != found for known, found in zip(declared, shape, strict=True)):
            yield f"{count} records are {_shape(shape)}; the manifest says {_shape(declared)}"
    if not census.broken and digest.label_of(census.chain) != split.digest:
        yield "the digest differs: keys, pixels or labels are not those that were written"


def _check_mean(folder: Path, manifest: Manifest) -> Iterator[str]:
    if manifest.mean is None:
        return
    try:
        mean = read_binaryproto(folder / manifest.mean.path)
    except CaffeflowError as error:
        yield f"mean: {error}"
        return
    declared = (1, manifest.channels, manifest.height, manifest.width)
    if mean.shape != declared:
        yield f"mean: {manifest.mean.path} is {_shape(mean.shape[1:])}; expected {_shape(declared[1:])}"


def _check_names(folder: Path, manifest: Manifest) -> Iterator[str]:
    if manifest.label_map is not None:
        yield from check_label_map(folder / manifest.label_map, manifest)
        return
    if not manifest.class_names:
        return
    try:
        names = os.fsdecode((folder / LABELS_NAME).read_bytes()).removesuffix("\n").split("\n")
    except OSError as error:
        yield f"{LABELS_NAME}: cannot be read: {error.strerror}"
        return
    if tuple(names) != manifest.class_names:
        yield f"{LABELS_NAME}: does not name the classes of the manifest"


def _shape(shape: tuple[int | None, ...]) -> str:
    return "x".join("?" if side is None else str(side) for side in shape)
