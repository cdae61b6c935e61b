"""KITTI's object detection in images, and any data set whose labels have its form.

Labels do not say the images' size, so boxes are divided by each image's own. `DontCare` regions are no boxes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from caffeflow.data.holdout import check_fraction
from caffeflow.data.kitti_files import IMAGES, LABELS, KittiFiles, find_kitti
from caffeflow.data.kitti_text import DONT_CARE, parse_kitti
from caffeflow.data.named_boxes import Labels, NamedBox, NamedImage, given_label_map, listing_of
from caffeflow.data.raw_files import Tell, tell_nobody
from caffeflow.data.sample import Listing, Omission, SplitName
from caffeflow.errors import DataError, UsageError
from caffeflow.proto.labelmap import BACKGROUND, label_map_of

CLASSES_KEPT: Final = ("Car", "Pedestrian", "Cyclist")
MERGED: Final = ("Van=Car", "Person_sitting=Pedestrian")

_PREFIX: Final = "training"
_TELL_EVERY: Final = 500  # files


@dataclass(frozen=True, kw_only=True)
class KittiSettings:
    """Where KITTI lies, and what of it is wanted.

    Attributes:
        root: A folder to look in first.
        classes: Classes to keep; empty: those of the label map, or cars, pedestrians and cyclists.
        merge_classes: Classes that count as others, as `Van=Car`; None: the usual two, where they apply.
        labelmap: A label map; None: the classes kept, in their order.
        keep_empty: Whether images without boxes stay; None: in val only.
        val_fraction: Share of the images that becomes split val; None: lists in the root, else a fifth.
        write_sets: Writes the lists of the split into the root too.
        seed: Decides the split.
    """

    root: Path | None = None
    classes: tuple[str, ...] = ()
    merge_classes: tuple[str, ...] | None = None
    labelmap: Path | None = None
    keep_empty: bool | None = None
    val_fraction: float | None = None
    write_sets: bool = False
    seed: int = 0


def list_jobs(settings: KittiSettings, *, tell: Tell = tell_nobody) -> Listing:
    """Lists the images of both splits with their boxes, in the order of the split's lists.

    Args:
        settings: Where KITTI lies.
        tell: Hears how far indexing and reading are.

    Raises:
        DataError: Files are missing (then it says what to get), or no class that is wanted occurs.
        UsageError: A class is merged with one that is not kept.
    """
    check_fraction(settings.val_fraction)
    label_map = given_label_map(settings.labelmap) if settings.labelmap else None
    classes = settings.classes or CLASSES_KEPT
    if label_map and not settings.classes:
        classes = tuple(name for label, name in label_map.names.items() if label != BACKGROUND)
    kept = _kept(classes, settings.merge_classes)
    files = find_kitti(settings.root, tell=tell)
    split = files.split(val_fraction=settings.val_fraction, seed=settings.seed)
    reader = _Reader(files, kept, tell)
    found: list[NamedImage] = []
    for name, numbers in split.items():
        found += (image for number in numbers for image in reader.read(name, number))
    if not any(image.boxes for image in found):
        others = ", ".join(sorted(reader.others)) or "none"
        raise DataError(
            f"{files.root}: no label is {' or '.join(classes)}; there are: {others}; see --classes-kept"
        )
    return listing_of(
        found,
        Labels(label_map or label_map_of(classes)),
        keep_empty=settings.keep_empty,
        omissions=reader.omissions,
        notes=reader.notes(),
    )


def split_of(settings: KittiSettings) -> tuple[KittiFiles, Mapping[SplitName, list[str]]]:
    """Returns the files and the split that `list_jobs` takes, without reading a label."""
    files = find_kitti(settings.root, tell=tell_nobody)
    return files, files.split(val_fraction=settings.val_fraction, seed=settings.seed)


def _kept(classes: tuple[str, ...], merges: tuple[str, ...] | None) -> dict[str, str]:
    """Returns the class that each name in a label counts as."""
    kept = {name: name for name in classes}
    for merge in MERGED if merges is None else merges:
        name, equals, target = merge.partition("=")
        if not (name and equals and target):
            raise UsageError(f"--merge-class {merge}: expected CLASS=OTHER, such as Van=Car")
        if target in classes:
            kept.setdefault(name, target)
        elif merges is not None:
            raise UsageError(f"--merge-class {merge}: '{target}' is not kept; kept are {', '.join(classes)}")
    return kept


@dataclass
class _Reader:
    """Reads labels, and counts what is passed over."""

    files: KittiFiles
    kept: Mapping[str, str]
    tell: Tell
    omissions: list[Omission] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    files_read: int = 0
    bytes_read: int = 0

    def __post_init__(self) -> None:
        self._images = self.files.images()
        self._labels = self.files.labels()

    def read(self, split: SplitName, number: str) -> Iterator[NamedImage]:
        """Yields an image, if its file and its label are there."""
        image = self._images.get(number, f"{number}.png")
        name, file = f"{_PREFIX}/{IMAGES}/{image}", f"{_PREFIX}/{LABELS}/{number}.txt"
        if number not in self._images:
            self._omit(split, name, "missing", f"no image for {file}")
            return
        if number not in self._labels:
            self._omit(split, name, "no annotation", f"expected {file}")
            return
        try:
            boxes = list(self._boxes(number))
        except DataError as error:
            self._omit(split, name, "bad annotation", str(error))
            return
        location = self.files.files.locate(f"{IMAGES}/{image}")
        yield NamedImage(split=split, name=name, location=location, boxes=boxes, file=file)

    def notes(self) -> Iterator[str]:
        """Yields what was passed over on purpose."""
        ignored = self.others.pop(DONT_CARE, 0)
        if ignored:
            yield f"{ignored:,} {DONT_CARE} regions are ignored"
        if self.others:
            counts = ", ".join(f"{name} {count:,}" for name, count in self.others.most_common())
            yield f"classes that are not kept: {counts}"

    def _boxes(self, number: str) -> Iterator[NamedBox]:
        name = f"{LABELS}/{number}.txt"
        content = self.files.files.locate(name).read()
        self.bytes_read += len(content)
        self.files_read += 1
        if self.files_read % _TELL_EVERY == 0:
            self.tell("reading labels", self.bytes_read, None)
        for found in parse_kitti(content, self.files.files.where(name)):
            if found.name in self.kept:
                yield NamedBox(self.kept[found.name], found.corners)
            else:
                self.others[found.name] += 1

    def _omit(self, split: SplitName, name: str, reason: str, detail: str) -> None:
        self.omissions.append(Omission(split=split, name=name, reason=reason, detail=detail))
