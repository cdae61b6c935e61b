"""PASCAL VOC, and every data set of its layout: an XML file of boxes beside each image.

Official editions come as folders or as archives, which are read in place. Image names begin with the edition
(`VOC2007/JPEGImages/000005.jpg`), as in the lists of SSD's recipe.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

from caffeflow.data.holdout import check_fraction, hold_back
from caffeflow.data.named_boxes import Labels, NamedBox, NamedImage, given_label_map, listing_of
from caffeflow.data.raw_files import Tell, tell_nobody
from caffeflow.data.sample import Listing, Omission, UnreadableError
from caffeflow.data.voc_devkit import CLASSES, OFFICIAL, Edition, open_editions, pair_folders
from caffeflow.data.voc_files import find_editions
from caffeflow.data.voc_sets import Part, choose_parts
from caffeflow.data.voc_xml import VocAnnotation, VocObject, parse_voc
from caffeflow.errors import DataError, UsageError
from caffeflow.proto.labelmap import LabelMap, label_map_of

_TELL_EVERY: Final = 200  # files
_ODDITIES: Final = {
    "fractional": "boxes have corners between pixels; SSD's convert_annoset would take those for 0",
    "late": "objects say 'difficult' behind their box; SSD's convert_annoset would overlook it",
    "sizeless": "annotations do not say the image's size, so its own is taken",
}


@dataclass(frozen=True, kw_only=True)
class VocSettings:
    """Where the data set lies, and what of it is wanted.

    Attributes:
        roots: Folders or archives; none: VOC2007 and VOC2012 are looked for.
        images: A folder of images, in place of `roots`, with `annotations`.
        annotations: The folder of their XML files.
        train_sets: Image sets of split train, as `trainval` or `2007:trainval`; empty for the default.
        val_sets: The same of split val.
        labelmap: A label map; None: it is made from the classes that occur.
        val_fraction: Share of the train images that becomes split val.
        seed: Decides which images these are.
    """

    roots: tuple[Path, ...] = ()
    images: Path | None = None
    annotations: Path | None = None
    train_sets: tuple[str, ...] = ()
    val_sets: tuple[str, ...] = ()
    labelmap: Path | None = None
    val_fraction: float | None = None
    seed: int = 0


def list_jobs(settings: VocSettings, *, tell: Tell = tell_nobody) -> Listing:
    """Lists the images of the chosen sets with their boxes, in the order of the sets.

    Args:
        settings: Where the data set lies.
        tell: Hears how far indexing and reading are.

    Raises:
        DataError: Files are missing (then it says what to get), or nothing is in VOC's layout.
        UsageError: The settings contradict each other, or name what is not there.
    """
    _check(settings)
    editions, notes = _editions(settings, tell)
    parts = choose_parts(editions, train_sets=settings.train_sets, val_sets=settings.val_sets)
    if settings.val_fraction is not None and any(part.split == "val" for part in parts):
        raise UsageError(
            "--val-fraction: there are image sets for a val split; leave it out, or name --train-sets"
        )
    reader = _Reader(tell)
    found = [image for part in parts for image in reader.read(part)]
    if settings.val_fraction is not None:
        held_back = hold_back([image.name for image in found], settings.val_fraction, seed=settings.seed)
        found = [replace(image, split="val") if image.name in held_back else image for image in found]
    label_map = given_label_map(settings.labelmap) if settings.labelmap else _made_label_map(found, editions)
    return listing_of(
        found,
        Labels(label_map),
        keep_empty=True,
        omissions=reader.omissions,
        notes=[*notes, *reader.notes(), *_overlap_notes(found)],
    )


def _check(settings: VocSettings) -> None:
    check_fraction(settings.val_fraction)
    if (settings.images is None) != (settings.annotations is None):
        given, lacking = ("images", "annotations") if settings.images else ("annotations", "images")
        raise UsageError(f"--{given} goes with --{lacking}; give both")
    if settings.images is not None and settings.roots:
        raise UsageError("--images and --annotations stand in place of ROOT; leave one of them out")


def _editions(settings: VocSettings, tell: Tell) -> tuple[list[Edition], list[str]]:
    if settings.images is not None and settings.annotations is not None:
        return [pair_folders(settings.images, settings.annotations)], []
    if settings.roots:
        return open_editions(settings.roots, tell=tell), []
    return find_editions(tell=tell)


@dataclass
class _Reader:
    """Reads annotations, and keeps account of what is odd about them."""

    tell: Tell
    omissions: list[Omission] = field(default_factory=list)
    bytes_read: int = 0
    files_read: int = 0
    odd: Counter[str] = field(default_factory=Counter)

    def read(self, part: Part) -> Iterator[NamedImage]:
        """Yields the images of a set that have a file and an annotation."""
        edition = part.edition
        for stem in part.stems():
            xml = edition.path_of(f"{stem}.xml", edition.annotations_dir)
            if stem not in edition.annotations:
                self._omit(part, stem, "no annotation", f"expected {xml}")
                continue
            try:
                annotation = self._annotation(edition, stem)
            except DataError as error:
                self._omit(part, stem, "bad annotation", str(error))
                continue
            file = edition.images.get(stem) or edition.images.get(PurePosixPath(annotation.filename).stem)
            if file is None:
                self._omit(part, stem, "missing", f"no image for {xml}")
                continue
            name = edition.path_of(file, edition.images_dir)
            yield NamedImage(
                split=part.split,
                name=name,
                location=edition.locate(file, edition.images_dir),
                boxes=list(self._boxes(part, name, annotation.objects)),
                height=annotation.height,
                width=annotation.width,
                file=xml,
            )

    def notes(self) -> Iterator[str]:
        """Yields a sentence about each kind of oddity that SSD's own tool would stumble over."""
        for kind, told in _ODDITIES.items():
            if self.odd[kind]:
                yield f"{self.odd[kind]:,} {told}"

    def _annotation(self, edition: Edition, stem: str) -> VocAnnotation:
        try:
            content = edition.locate(f"{stem}.xml", edition.annotations_dir).read()
        except UnreadableError as error:
            raise DataError(str(error)) from error
        self.bytes_read += len(content)
        self.files_read += 1
        if self.files_read % _TELL_EVERY == 0:
            self.tell("reading annotations", self.bytes_read, None)
        annotation = parse_voc(content, edition.where(f"{stem}.xml", edition.annotations_dir))
        self.odd["sizeless"] += annotation.height == 0
        return annotation

    def _boxes(self, part: Part, name: str, objects: Sequence[VocObject]) -> Iterator[NamedBox]:
        for found in objects:
            if found.corners is None:
                what = f"'{found.name}' in line {found.line}: {found.problem}"
                self.omissions.append(
                    Omission(split=part.split, name=name, reason="no box", detail=what, is_box=True)
                )
                continue
            self.odd["fractional"] += found.is_fractional
            self.odd["late"] += found.is_late
            yield NamedBox(found.name, found.corners, found.is_difficult)

    def _omit(self, part: Part, stem: str, reason: str, detail: str) -> None:
        edition = part.edition
        name = edition.path_of(edition.images.get(stem, f"{stem}.jpg"), edition.images_dir)
        self.omissions.append(Omission(split=part.split, name=name, reason=reason, detail=detail))


def _made_label_map(found: Sequence[NamedImage], editions: Sequence[Edition]) -> LabelMap:
    """Returns VOC's own map where it is VOC, else one of the sorted names that occur."""
    names = {box.name for image in found for box in image.boxes}
    if not names:
        raise DataError(
            "no annotation has a box; expected VOC's form, with <object>s that have name and bndbox"
        )
    is_official = all(OFFICIAL.fullmatch(edition.name) for edition in editions)
    if names == set(CLASSES) or (is_official and names <= set(CLASSES)):
        return label_map_of(CLASSES)
    return label_map_of(sorted(names))


def _overlap_notes(found: Sequence[NamedImage]) -> Iterator[str]:
    """Yields a warning where the same images are learned and tested."""
    of_split = {split: {image.name for image in found if image.split == split} for split in ("train", "val")}
    both = len(of_split["train"] & of_split["val"])
    if both:
        yield f"{both:,} images are in train and in val: a test on them says too much good; choose other sets"
