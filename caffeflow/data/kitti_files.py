"""KITTI's object data: its published files, finding them, and its lists of image numbers.

Images are `training/image_2/000000.png` and labels `training/label_2/000000.txt`, unpacked or in their two
archives. KITTI publishes no val split; `ImageSets/{trainval,train,val}.txt` is how people keep theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from caffeflow.data.file_sets import ARCHIVE_SUFFIXES, FilesBelow, FileSet, open_files, read_text
from caffeflow.data.folder import IMAGE_SETS_NAME
from caffeflow.data.holdout import hold_back
from caffeflow.data.raw_files import RawFile, Tell, find_first, missing, places
from caffeflow.data.sample import SPLITS, SplitName
from caffeflow.data.sources.folder import is_image
from caffeflow.errors import DataError, UsageError
from caffeflow.files import write_text

IMAGES: Final = "image_2"
LABELS: Final = "label_2"
VAL_FRACTION: Final = 0.2

_TRAINING: Final = "training"
_IMAGE_ZIP: Final = RawFile(
    name="data_object_image_2.zip", size=12_569_945_557, md5=None, what="left colour images"
)
_LABEL_ZIP: Final = RawFile(name="data_object_label_2.zip", size=5_601_213, md5=None, what="training labels")
_WHERE_TO_GET: Final = (
    "They are at https://www.cvlibs.net/datasets/kitti/eval_object.php?obj_benchmark=2d (free registration)."
)
_SUBFOLDERS: Final = ("", "kitti", "KITTI", "kitti/object", "KITTI/object", "object")


@dataclass(frozen=True)
class KittiFiles:
    """What was found.

    Attributes:
        files: Folders `image_2` and `label_2`.
        root: The folder that holds `training`, or the archives.
    """

    files: FileSet
    root: Path

    def images(self) -> dict[str, str]:
        """Returns the file of each image by its number."""
        return {PurePosixPath(name).stem: name for name in self.files.files(IMAGES) if is_image(name)}

    def labels(self) -> frozenset[str]:
        """Returns the numbers of the images that have a label file."""
        return frozenset(
            name.removesuffix(".txt") for name in self.files.files(LABELS) if name.endswith(".txt")
        )

    def split(self, *, val_fraction: float | None, seed: int) -> dict[SplitName, list[str]]:
        """Returns the image numbers of both splits: as lists in the root say, else by a seed."""
        listed = {split: self.root / IMAGE_SETS_NAME / f"{split}.txt" for split in SPLITS}
        if val_fraction is None and all(path.is_file() for path in listed.values()):
            files = open_files(self.root / IMAGE_SETS_NAME)
            return {split: read_text(files, path.name).split() for split, path in listed.items()}
        numbers = sorted(self.labels() | self.images().keys())
        val = hold_back(numbers, VAL_FRACTION if val_fraction is None else val_fraction, seed=seed)
        return {
            "train": [number for number in numbers if number not in val],
            "val": [number for number in numbers if number in val],
        }


def find_kitti(root: Path | None, *, tell: Tell) -> KittiFiles:
    """Finds images and labels, in folders or in the two archives.

    Raises:
        DataError: Something is missing; it says what to get.
    """
    if root is not None and not root.is_dir():
        raise DataError(f"{root}: no such folder; expected one with {_TRAINING}/{IMAGES} or the two archives")
    folders = [folder / sub for folder in places(root) for sub in _SUBFOLDERS]
    images = _find(IMAGES, _IMAGE_ZIP, folders)
    labels = _find(LABELS, _LABEL_ZIP, folders)
    lacking = [file for file, path in ((_IMAGE_ZIP, images), (_LABEL_ZIP, labels)) if path is None]
    if images is None or labels is None:
        raise missing("KITTI", lacking, folders=places(root), where_to_get=_WHERE_TO_GET)
    parts = [_opened(path, tell) for path in (labels, images)]
    is_inside = not _is_archive(images) and images.name != _TRAINING  # a root without `training`
    return KittiFiles(FilesBelow(parts), images if is_inside else images.parent)


def image_sets(split: Mapping[SplitName, Sequence[str]]) -> dict[str, str]:
    """Returns the lists of a split as files: a number a line."""
    both = sorted(number for numbers in split.values() for number in numbers)
    lists: dict[str, Sequence[str]] = {"trainval": both}
    lists.update(split.items())
    return {f"{name}.txt": "".join(f"{number}\n" for number in numbers) for name, numbers in lists.items()}


def has_image_sets(folder: Path) -> bool:
    """Tells whether a folder holds the lists of a split."""
    return all((folder / IMAGE_SETS_NAME / f"{name}.txt").is_file() for name in ("trainval", *SPLITS))


def write_image_sets(folder: Path, split: Mapping[SplitName, Sequence[str]], *, force: bool = False) -> None:
    """Writes `ImageSets/{trainval,train,val}.txt` into a folder; what is there already may stay.

    Raises:
        UsageError: Other lists are there, and `force` is not set.
    """
    target = folder / IMAGE_SETS_NAME
    for name, text in image_sets(split).items():
        path = target / name
        if path.exists() and path.read_text(encoding="utf-8") != text and not force:
            raise UsageError(f"{path}: holds another split; --force replaces it")
    target.mkdir(exist_ok=True)
    for name, text in image_sets(split).items():
        write_text(target / name, text)


def _find(folder: str, archive: RawFile, folders: Sequence[Path]) -> Path | None:
    """Returns the folder that holds `image_2` or `label_2`, or the archive that does."""
    found = find_first([f"{_TRAINING}/{folder}", folder], folders)
    return found.parent if found is not None else find_first([archive.name], folders)


def _opened(path: Path, tell: Tell) -> tuple[FileSet, str]:
    return open_files(path, tell=tell), _TRAINING if _is_archive(path) else ""


def _is_archive(path: Path) -> bool:
    return path.suffix.lower() in ARCHIVE_SUFFIXES
