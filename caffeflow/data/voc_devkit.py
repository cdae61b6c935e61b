"""PASCAL VOC's layout, official or one's own: editions, and their image sets.

An edition is a folder with `JPEGImages`, `Annotations` and mostly `ImageSets/Main`: VOC2007, VOC2012, or any
data set that was laid out alike. An edition may come in parts, as VOC2007's two archives.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final

from caffeflow.data.file_sets import FilesBelow, FileSet, FolderFiles, MountedFiles, open_files, read_text
from caffeflow.data.raw_files import Tell
from caffeflow.data.sample import Location, SplitName
from caffeflow.data.sources.folder import is_image
from caffeflow.errors import DataError

IMAGES: Final = "JPEGImages"
ANNOTATIONS: Final = "Annotations"
SETS: Final = "ImageSets/Main"
OFFICIAL: Final = re.compile(r"VOC\d{4}")

CLASSES: Final = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""VOC's names in the order of their labels, from 1: that of all published nets."""

_EXPECTED: Final = (
    f"expected folders {IMAGES} and {ANNOTATIONS} in it or below, as in VOCdevkit/VOC2007/, or folders train "
    "and val with images and .xml files; folders of other names are given with --images and --annotations"
)


_SPLIT_FOLDERS: Final[dict[SplitName, tuple[str, ...]]] = {
    "train": ("train",),
    "val": ("val", "validation", "valid", "test"),
}


@dataclass(frozen=True)
class Edition:
    """One folder of VOC's layout, maybe spread over several places.

    Attributes:
        name: Such as `VOC2007`; the names of its images begin with it. Empty for two loose folders.
        files: What lies in it.
        images_dir: The folder of the images.
        annotations_dir: The folder of their annotations; it may be the same.
        split: The split of all its images, where folders called train and val say it.
    """

    name: str
    files: FileSet
    images_dir: str = IMAGES
    annotations_dir: str = ANNOTATIONS
    split: SplitName | None = None

    @cached_property
    def sets(self) -> tuple[str, ...]:
        """The names of its image sets: `train`, `trainval`, `test`."""
        return tuple(name.removesuffix(".txt") for name in self.files.files(SETS) if name.endswith(".txt"))

    @cached_property
    def images(self) -> dict[str, str]:
        """The file of each image by its name without suffix; a JPEG where there are several."""
        by_stem: dict[str, str] = {}
        for name in filter(is_image, self.files.files(self.images_dir)):
            stem = PurePosixPath(name).stem
            if stem not in by_stem or name.lower().endswith((".jpg", ".jpeg")):
                by_stem[stem] = name
        return by_stem

    @cached_property
    def annotations(self) -> frozenset[str]:
        """The images that have an annotation, by their names without suffix."""
        return frozenset(
            name.removesuffix(".xml")
            for name in self.files.files(self.annotations_dir)
            if name.endswith(".xml")
        )

    def stems(self, set_name: str) -> Iterator[str]:
        """Yields the images of a set, as its lines name them.

        A set of one class (`car_train`) says 1, 0 or -1 behind each name; -1, without the class, is left out.
        """
        for line in read_text(self.files, f"{SETS}/{set_name}.txt").splitlines():
            words = line.split()
            if words and words[1:2] != ["-1"]:
                yield PurePosixPath(words[0]).stem if is_image(words[0]) else words[0]

    def locate(self, file: str, folder: str) -> Location:
        """Returns where the bytes of a file in one of the two folders are."""
        return self.files.locate(f"{folder}/{file}" if folder else file)

    def where(self, file: str, folder: str) -> str:
        """Returns what messages call a file in one of the two folders."""
        return self.files.where(f"{folder}/{file}" if folder else file)

    def path_of(self, file: str, folder: str) -> str:
        """Returns what a list calls a file in one of the two folders."""
        return "/".join(part for part in (self.name, folder, file) if part)

    def is_annotated(self, set_name: str) -> bool:
        """Tells whether boxes of a set are here: VOC2012's test images have none."""
        first = next(self.stems(set_name), None)
        return first is not None and first in self.annotations


def open_editions(roots: Iterable[Path], *, tell: Tell) -> list[Edition]:
    """Finds the editions in folders and archives; the parts of one official edition become one.

    Raises:
        DataError: A folder has none.
    """
    parts: list[tuple[str, FileSet, str]] = []
    split_folders: list[Edition] = []
    for root in roots:
        files = open_files(root, tell=tell)
        found = list(editions_in(files, root))
        folders = [] if found else list(_split_folders(files))
        if not found and not folders:
            raise DataError(f"{root}: has nothing in VOC's layout; {_EXPECTED}")
        parts += found
        split_folders += folders
    return [*joined(parts), *split_folders]


def pair_folders(images: Path, annotations: Path) -> Edition:
    """Returns two folders of any names as an edition without image sets.

    Raises:
        DataError: One is no folder, or there is no annotation.
    """
    for folder in (images, annotations):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; expected one of images and one of their XML files")
    images_dir = images.absolute().name
    annotations_dir = annotations.absolute().name
    if annotations_dir == images_dir and annotations.resolve() != images.resolve():
        annotations_dir = f"{annotations_dir}-xml"
    files = MountedFiles({images_dir: FolderFiles(images), annotations_dir: FolderFiles(annotations)})
    edition = Edition("", files, images_dir=images_dir, annotations_dir=annotations_dir)
    if not edition.annotations:
        raise DataError(f"{annotations}: has no .xml file; expected one of VOC's form for each image")
    return edition


def editions_in(files: FileSet, root: Path) -> Iterator[tuple[str, FileSet, str]]:
    """Yields name, files and folder of each edition in a folder or an archive."""
    folders = set(files.folders())
    for folder in sorted(folders):
        prefix = f"{folder}/" if folder else ""
        if f"{prefix}{IMAGES}" in folders and f"{prefix}{ANNOTATIONS}" in folders:
            yield PurePosixPath(folder).name or root.absolute().stem, files, folder


def _split_folders(files: FileSet) -> Iterator[Edition]:
    """Yields folders train and val with annotations beside the images, as labelling tools export them."""
    for split, names in _SPLIT_FOLDERS.items():
        for name in names:
            found = [folder for folder in files.folders() if folder.rpartition("/")[2] == name]
            editions = [
                Edition(name, FilesBelow([(files, folder)]), images_dir="", annotations_dir="", split=split)
                for folder in found
            ]
            annotated = [edition for edition in editions if edition.annotations]
            if annotated:
                yield annotated[0]
                break


def joined(parts: Sequence[tuple[str, FileSet, str]]) -> list[Edition]:
    """Joins the parts of official editions; others of one name are told apart by a number."""
    names: list[str] = []
    of_name: dict[str, list[tuple[FileSet, str]]] = {}
    seen: Counter[str] = Counter()
    for name, files, folder in parts:
        seen[name] += 1
        if seen[name] > 1 and not OFFICIAL.fullmatch(name):
            name = f"{name}-{seen[name]}"
        names.append(name)
        of_name.setdefault(name, []).append((files, folder))
    return [Edition(name, FilesBelow(of_name[name])) for name in dict.fromkeys(names)]
