"""The published files of ILSVRC2012, ImageNet's thousand classes: what they are called, and finding them.

A class is a synset, named like `n01440764`. Three layouts are known: the archives as they come, the folders
that they unpack to, and Kaggle's edition of the same pictures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from caffeflow.data.raw_files import RawFile, find_first, missing, places
from caffeflow.errors import DataError

Part: TypeAlias = Literal["train", "val"]

SYNSET: Final = re.compile(r"n\d{8}")
CLASSES: Final = 1000

TRAIN_TAR: Final = RawFile(
    name="ILSVRC2012_img_train.tar",
    size=147_897_477_120,
    md5="1d675b47d978889d74fa0da5fadfb00e",
    what="training pictures",
)
VAL_TAR: Final = RawFile(
    name="ILSVRC2012_img_val.tar",
    size=6_744_924_160,
    md5="29b22e2961454d5413ddabcf34fc5622",
    what="validation pictures",
)
DEVKIT: Final = RawFile(
    name="ILSVRC2012_devkit_t12.tar.gz",
    size=2_568_145,
    md5="fa75699e90414af021442c21a62c3abf",
    what="validation labels; Caffe's val.txt or caffe_ilsvrc12.tar.gz does as well",
)
DEVKIT_FOLDER: Final = "ILSVRC2012_devkit_t12"
KAGGLE_TRUTH, KAGGLE_WORDS = "LOC_val_solution.csv", "LOC_synset_mapping.txt"
CAFFE_TAR: Final = "caffe_ilsvrc12.tar.gz"
CAFFE_LIST, CAFFE_SYNSETS, CAFFE_WORDS = "val.txt", "synsets.txt", "synset_words.txt"

_WHERE_TO_GET: Final = (
    "ImageNet needs a login: register at https://image-net.org, accept the terms, and download the files of\n"
    "ILSVRC2012 (tasks 1 and 2); or unpack Kaggle's edition, 'imagenet-object-localization-challenge'."
)
_SUBFOLDERS: Final = ("", "imagenet", "ilsvrc12", "ILSVRC2012")
_TRAIN_NAMES: Final = (TRAIN_TAR.name, "ILSVRC2012_img_train", "ILSVRC/Data/CLS-LOC/train", "train")
_VAL_NAMES: Final = (VAL_TAR.name, "ILSVRC2012_img_val", "ILSVRC/Data/CLS-LOC/val", "val")
_TRUTH_NAMES: Final = (DEVKIT.name, DEVKIT_FOLDER, KAGGLE_TRUTH, CAFFE_LIST, CAFFE_TAR)
_WORDS_NAMES: Final = (CAFFE_WORDS, KAGGLE_WORDS, DEVKIT.name, DEVKIT_FOLDER, CAFFE_TAR)


@dataclass(frozen=True, kw_only=True)
class ImagenetSettings:
    """Where ImageNet lies; what is None is looked for.

    Attributes:
        folder: A folder to look in first.
        train: The train archive or folder.
        val: The val archive or folder.
        val_labels: The devkit, Kaggle's CSV file, Caffe's val.txt or caffe_ilsvrc12.tar.gz.
        only: Leaves the other split out.
    """

    folder: Path | None = None
    train: Path | None = None
    val: Path | None = None
    val_labels: Path | None = None
    only: Part | None = None


@dataclass(frozen=True, kw_only=True)
class ImagenetFiles:
    """What was found; `val_labels` is None where class folders say the labels.

    `words` is any file that tells the synsets in words, or None.
    """

    train: Path | None
    val: Path | None
    val_labels: Path | None
    words: Path | None


def find_files(settings: ImagenetSettings) -> ImagenetFiles:
    """Looks for all files that a listing needs.

    Raises:
        DataError: Some are missing; all of them are named, with what to get where.
    """
    beside = [path.parent for path in (settings.train, settings.val) if path is not None]
    folders = [*beside, *(folder / sub for folder in places(settings.folder) for sub in _SUBFOLDERS)]
    lacking: list[RawFile] = []
    train = val = val_labels = None
    if settings.only != "val":
        train = _given(settings.train) or _find_pictures(_TRAIN_NAMES, folders)
        lacking += [] if train else [TRAIN_TAR]
    if settings.only != "train":
        val = _given(settings.val) or _find_pictures(_VAL_NAMES, folders)
        lacking += [] if val else [VAL_TAR]
        val_labels = _given(settings.val_labels)
        if val_labels is None and not (val and has_class_folders(val)):
            val_labels = _find_truth(folders)
            lacking += [] if val_labels else [DEVKIT]
    if lacking:
        raise missing("ImageNet", lacking, folders=places(settings.folder), where_to_get=_WHERE_TO_GET)
    return ImagenetFiles(train=train, val=val, val_labels=val_labels, words=find_first(_WORDS_NAMES, folders))


def has_class_folders(folder: Path) -> bool:
    """Tells whether a folder holds a folder for each synset."""
    return folder.is_dir() and any(SYNSET.fullmatch(name) for name in names_in(folder))


def names_in(folder: Path) -> list[str]:
    """Returns the sorted names of a folder's content."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror}") from error


def _given(path: Path | None) -> Path | None:
    if path is not None and not path.exists():
        raise DataError(f"{path}: no such file or folder; leave the option out to have it looked for")
    return path


def _find_pictures(names: Sequence[str], folders: Sequence[Path]) -> Path | None:
    """Finds an archive, or a folder that does hold ImageNet: one called 'train' may be anybody's."""
    for name in names:
        for folder in folders:
            path = folder / name
            if path.is_file() or (path.is_dir() and _looks_like_imagenet(path)):
                return path
    return None


def _looks_like_imagenet(folder: Path) -> bool:
    return any(
        SYNSET.fullmatch(name.removesuffix(".tar")) or name.startswith("ILSVRC2012_val_")
        for name in names_in(folder)
    )


def _find_truth(folders: Sequence[Path]) -> Path | None:
    """Finds the best source of val labels; a 'val.txt' only if it lists ImageNet."""
    for name in _TRUTH_NAMES:
        for folder in folders:
            path = folder / name
            if path.exists() and (name != CAFFE_LIST or _lists_imagenet(path)):
                return path
    return None


def _lists_imagenet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"ILSVRC2012_val_" in file.read(200)
    except OSError:
        return False
