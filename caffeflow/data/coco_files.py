"""The published files of COCO 2014 and 2017, zipped or unpacked, and finding them.

Settings may name other files in COCO's form; then nothing is looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from caffeflow.data.raw_files import RawFile, find_first, missing, places
from caffeflow.data.sample import SPLITS, SplitName
from caffeflow.errors import DataError, UsageError

Year: TypeAlias = Literal["2017", "2014"]

_FILES: Final[dict[Year, dict[str, RawFile]]] = {
    "2017": {
        "train": RawFile(
            name="train2017.zip",
            size=19_336_861_798,
            md5="cced6f7f71b7629ddf16f17bbcfab6b2",
            what="118,287 images",
        ),
        "val": RawFile(
            name="val2017.zip",
            size=815_585_330,
            md5="442b8da7639aecaf257c1dceb8ba8c80",
            what="5,000 images",
        ),
        "annotations": RawFile(
            name="annotations_trainval2017.zip",
            size=252_907_541,
            md5="f4bbac642086de4f52a3fdda2de5fa2c",
            what="boxes of both",
        ),
    },
    "2014": {
        "train": RawFile(
            name="train2014.zip",
            size=13_510_573_713,
            md5="0da8c0bd3d6becc4dcb32757491aca88",
            what="82,783 images",
        ),
        "val": RawFile(
            name="val2014.zip",
            size=6_645_013_297,
            md5="a3d79f5ed8d289b7a7554ce06a5782b3",
            what="40,504 images",
        ),
        "annotations": RawFile(
            name="annotations_trainval2014.zip",
            size=252_872_794,
            md5="0a379cfc70b0e71301e0f377548639bd",
            what="boxes of both",
        ),
    },
}
_WHERE_TO_GET: Final = (
    "They are at https://cocodataset.org/#download: images at http://images.cocodataset.org/zips/, boxes at\n"
    "http://images.cocodataset.org/annotations/. Your own in this form: --train-json, --train-images."
)
_SUBFOLDERS: Final = ("", "coco", "COCO", "MSCOCO", "coco2017", "coco2014")


@dataclass(frozen=True, kw_only=True)
class CocoSettings:
    """Where the files lie, and what becomes of them.

    Attributes:
        root: A folder to look in first.
        year: Which edition; None: 2017 if it is there, else 2014.
        train_json: A file in COCO's form, in place of the published ones; then nothing is looked for.
        train_images: Its images: a folder, a .zip or a .tar.
        val_json: The same of split val.
        val_images: Its images.
        only: Leaves the other split out.
        merge: The images of val go to train as well.
        coco_ids: 80: labels without gaps; 91: labels are COCO's category ids.
        labelmap: A label map in place of these.
        keep_empty: Whether images without boxes stay; None: in val only.
        val_fraction: Share of the train images that becomes split val.
        seed: Decides which images these are.
    """

    root: Path | None = None
    year: Year | None = None
    train_json: Path | None = None
    train_images: Path | None = None
    val_json: Path | None = None
    val_images: Path | None = None
    only: SplitName | None = None
    merge: bool = False
    coco_ids: Literal[80, 91] = 80
    labelmap: Path | None = None
    keep_empty: bool | None = None
    val_fraction: float | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class CocoPart:
    """What makes a split: boxes and images.

    Attributes:
        split: Which.
        json: The file of boxes, or the archive that has it.
        member: Its name in the archive; empty for a file.
        images: A folder or an archive.
    """

    split: SplitName
    json: Path
    member: str
    images: Path


def find_parts(settings: CocoSettings) -> list[CocoPart]:
    """Returns the parts of the splits that are wanted.

    Raises:
        DataError: Files are missing; all of them are named, with what to get where.
        UsageError: Files are named by half.
    """
    if settings.train_json or settings.val_json:
        return list(_named_parts(settings))
    stray = settings.train_images or settings.val_images
    if stray:
        raise UsageError(f"{stray}: images without their boxes; give --train-json or --val-json too")
    folders = [folder / sub for folder in places(settings.root) for sub in _SUBFOLDERS]
    wanted = [split for split in SPLITS if settings.only in (None, split)]
    years: Sequence[Year] = [settings.year] if settings.year else ["2017", "2014"]
    lacking: list[list[RawFile]] = []
    for year in years:
        parts, files = _published_parts(year, wanted, folders)
        if not files:
            return parts
        lacking.append(files)
    # Of two incomplete editions the one that lacks less is meant; 2017 if neither is there at all.
    fewest = min(lacking, key=len)
    raise missing("COCO", fewest, folders=places(settings.root), where_to_get=_WHERE_TO_GET)


def _named_parts(settings: CocoSettings) -> Iterator[CocoPart]:
    given: tuple[tuple[SplitName, Path | None, Path | None], ...] = (
        ("train", settings.train_json, settings.train_images),
        ("val", settings.val_json, settings.val_images),
    )
    for split, json, images in given:
        if json is None and images is None:
            continue
        if json is None or images is None:
            raise UsageError(f"--{split}-json and --{split}-images go together; give both")
        for path in (json, images):
            if not path.exists():
                raise DataError(f"{path}: no such file or folder")
        yield CocoPart(split=split, json=json, member="", images=images)


def _published_parts(
    year: Year, splits: Sequence[SplitName], folders: Sequence[Path]
) -> tuple[list[CocoPart], list[RawFile]]:
    """Returns the parts of an edition, and the files that it lacks."""
    files = _FILES[year]
    archive = find_first([files["annotations"].name], folders)
    parts: list[CocoPart] = []
    lacking: dict[str, RawFile] = {}
    for split in splits:
        name = f"{split}{year}"
        json = find_first([f"annotations/instances_{name}.json", f"instances_{name}.json"], folders)
        images = find_first([name, f"images/{name}", f"{name}.zip", f"images/{name}.zip"], folders)
        if images is None:
            lacking[split] = files[split]
        if json is None and archive is None:
            lacking["annotations"] = files["annotations"]
        source = json or archive
        if images is not None and source is not None:
            member = "" if json else f"annotations/instances_{name}.json"
            parts.append(CocoPart(split=split, json=source, member=member, images=images))
    return parts, list(lacking.values())
