"""The published archives of PASCAL VOC, and finding them, unpacked or not, where nobody named them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow.data.file_sets import FolderFiles, open_files
from caffeflow.data.raw_files import RawFile, Tell, find_first, missing, places
from caffeflow.data.voc_devkit import ANNOTATIONS, Edition, editions_in, joined


@dataclass(frozen=True, kw_only=True)
class _Published:
    """An archive, and the image set that only it brings."""

    file: RawFile
    edition: str
    brings: str


_PUBLISHED: Final = (
    _Published(
        file=RawFile(
            name="VOCtrainval_06-Nov-2007.tar",
            size=460_032_000,
            md5="c52e279531787c972589f7e41ab4ae64",
            what="VOC2007, train and val",
        ),
        edition="VOC2007",
        brings="trainval",
    ),
    _Published(
        file=RawFile(
            name="VOCtest_06-Nov-2007.tar",
            size=451_020_800,
            md5="b6e924de25625d8de591ea690078ad9f",
            what="VOC2007, test",
        ),
        edition="VOC2007",
        brings="test",
    ),
    _Published(
        file=RawFile(
            name="VOCtrainval_11-May-2012.tar",
            size=1_999_639_040,
            md5="6cd6e144f989b92b3379bac3b3de84fd",
            what="VOC2012, train and val",
        ),
        edition="VOC2012",
        brings="trainval",
    ),
)
_WHERE_TO_GET: Final = (
    "They are at http://host.robots.ox.ac.uk/pascal/VOC/ (voc2007 and voc2012); VOC2012's test set has no "
    "published boxes."
)
_SUBFOLDERS: Final = ("", "VOCdevkit", "voc", "voc/VOCdevkit", "VOC", "VOC/VOCdevkit")


def find_editions(*, tell: Tell) -> tuple[list[Edition], list[str]]:
    """Looks for VOC2007 and VOC2012 in the usual places, as folders and as archives.

    Returns:
        The editions, and a note about each archive of which nothing is there.

    Raises:
        DataError: Nothing is there; it says what to get.
    """
    folders = [folder / sub for folder in places() for sub in _SUBFOLDERS]
    editions: list[Edition] = []
    for name in dict.fromkeys(each.edition for each in _PUBLISHED):
        path = find_first([f"{name}/{ANNOTATIONS}"], folders)
        if path is not None:
            editions.append(Edition(name, FolderFiles(path.parent)))
    lacking: list[RawFile] = []
    tars: list[Path] = []
    for each in _PUBLISHED:
        if any(edition.name == each.edition and each.brings in edition.sets for edition in editions):
            continue
        path = find_first([each.file.name], folders)
        tars += [path] if path else []
        lacking += [] if path else [each.file]
    if not editions and not tars:
        raise missing("PASCAL VOC", lacking, folders=places(), where_to_get=_WHERE_TO_GET)
    parts = [(edition.name, edition.files, "") for edition in editions]
    for path in tars:
        parts += editions_in(open_files(path, tell=tell), path)
    notes = [f"{file.name} ({file.what}) is not here: going on without it" for file in lacking]
    return joined(parts), notes
