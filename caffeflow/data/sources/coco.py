"""COCO 2014 and 2017 from zips or folders, and any other file in COCO's form.

Boxes are [x, y, width, height]; the far corner is x + width, as SSD's reader has it. A crowd is difficult.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from caffeflow.data.coco_files import CocoPart, CocoSettings, find_parts
from caffeflow.data.coco_json import CocoFile, CocoImage, parse_coco
from caffeflow.data.coco_labels import coco_label_map
from caffeflow.data.file_sets import ARCHIVE_SUFFIXES, open_files
from caffeflow.data.holdout import check_fraction, hold_back
from caffeflow.data.named_boxes import Labels, NamedBox, NamedImage, given_label_map, listing_of
from caffeflow.data.raw_files import Tell, tell_nobody
from caffeflow.data.sample import File, Listing, Location, Omission, UnreadableError
from caffeflow.errors import DataError, UsageError

__all__ = ["CocoSettings", "list_jobs"]


def list_jobs(settings: CocoSettings, *, tell: Tell = tell_nobody) -> Listing:
    """Lists the images of both splits with their boxes, in the order of the files.

    Args:
        settings: Where the files are.
        tell: Hears how far indexing and reading are.

    Raises:
        DataError: Files are missing (then it says what to get), or not of COCO's form.
        UsageError: The settings contradict each other.
    """
    _check(settings)
    parts = find_parts(settings)
    if settings.val_fraction is not None and not settings.merge and len(parts) > 1:
        raise UsageError(
            "--val-fraction: there is a val split already; leave it out, or join both with --merge"
        )
    reader = _Reader(tell)
    found: list[NamedImage] = []
    for part in parts:
        found += reader.read(part)
    if settings.merge:
        found = [replace(image, split="train") for image in found]
    if settings.val_fraction is not None:
        held_back = hold_back([image.name for image in found], settings.val_fraction, seed=settings.seed)
        found = [replace(image, split="val") if image.name in held_back else image for image in found]
    label_map = (
        given_label_map(settings.labelmap)
        if settings.labelmap
        else coco_label_map(reader.categories, settings.coco_ids)
    )
    words = {str(number): name for number, name in reader.categories.items()}
    return listing_of(
        found,
        Labels(label_map, words),
        keep_empty=settings.keep_empty,
        omissions=reader.omissions,
        notes=reader.notes,
    )


def _check(settings: CocoSettings) -> None:
    check_fraction(settings.val_fraction)
    if settings.merge and settings.only:
        raise UsageError(
            f"--merge joins both splits, and --only {settings.only} leaves one out; give one of them"
        )
    if settings.labelmap and settings.coco_ids == 91:
        raise UsageError("--coco-ids 91 is a label map of its own; leave it or --labelmap out")


@dataclass
class _Reader:
    """Reads files of boxes; they must agree on the categories."""

    tell: Tell
    categories: dict[int, str] = field(default_factory=dict)
    omissions: list[Omission] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def read(self, part: CocoPart) -> Iterator[NamedImage]:
        """Yields the images of a part that are there."""
        coco = self._file(part)
        images = _Images(part.images, self.tell)
        for number in range(len(coco.images)):
            image = coco.images[number]
            name = f"{part.images.stem}/{image.file_name}"
            location = images.find(image.file_name)
            if location is None:
                detail = f"not in {part.images}"
                self.omissions.append(Omission(split=part.split, name=name, reason="missing", detail=detail))
                continue
            yield NamedImage(
                split=part.split,
                name=name,
                location=location,
                boxes=self._boxes(part, name, image),
                height=image.height,
                width=image.width,
                image_id=str(image.id),
            )

    def _file(self, part: CocoPart) -> CocoFile:
        location, where = _json_of(part, self.tell)
        try:
            content = location.read()
        except UnreadableError as error:
            raise DataError(f"{where}: {error}") from error
        doing, total = f"reading {part.member or part.json.name}", len(content)
        coco = parse_coco(content, where, on_chars=lambda done, _: self.tell(doing, done, total))
        if self.categories and coco.categories != self.categories:
            raise DataError(f"{where}: has other categories than the file of split train; expected the same")
        self.categories = coco.categories
        if coco.strays:
            self.notes.append(f"{where}: {coco.strays:,} annotations are of images that it does not list")
        return coco

    def _boxes(self, part: CocoPart, name: str, image: CocoImage) -> Sequence[NamedBox]:
        boxes: list[NamedBox] = []
        for found in image.objects:
            if found.corners is not None:
                boxes.append(NamedBox(str(found.category), found.corners, found.is_crowd))
                continue
            what = f"category {found.category}: {found.problem}"
            self.omissions.append(
                Omission(split=part.split, name=name, reason="no box", detail=what, is_box=True)
            )
        return boxes


class _Images:
    """Finds images by the names in a JSON file, which leave out the folders of an archive."""

    def __init__(self, path: Path, tell: Tell) -> None:
        self._files = open_files(path, tell=tell)
        self._listed: dict[str, frozenset[str]] = {}
        self._bases = [""]
        self._has_all = False

    def find(self, name: str) -> Location | None:
        """Returns where the bytes are, or None if there is no such image."""
        for base in self._bases:
            full = f"{base}/{name}" if base else name
            folder, _, last = full.rpartition("/")
            if folder not in self._listed:
                self._listed[folder] = frozenset(self._files.files(folder))
            if last in self._listed[folder]:
                return self._files.locate(full)
        if self._has_all:
            return None
        self._bases, self._has_all = [*self._files.folders()], True
        return self.find(name)


def _json_of(part: CocoPart, tell: Tell) -> tuple[Location, str]:
    """Returns where the boxes of a part are, and what messages call the file."""
    if part.json.suffix.lower() not in ARCHIVE_SUFFIXES:
        return File(part.json), str(part.json)
    files = open_files(part.json, tell=tell)
    folder, _, last = part.member.rpartition("/")
    if last not in files.files(folder):
        raise DataError(f"{part.json}: has no '{part.member}'; expected the archive as COCO publishes it")
    return files.locate(part.member), files.where(part.member)
