"""`caffeflow dataset`: shows and checks datasets, and bare LMDBs and lists of Caffe's own tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from caffeflow import images
from caffeflow.data import verify as checks
from caffeflow.data.box_census import BoxCensus
from caffeflow.data.manifest import Manifest, read_manifest
from caffeflow.data.records import Records, open_records
from caffeflow.data.sheet import contact_sheet
from caffeflow.errors import DataError, UsageError
from caffeflow.files import write_atomically

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class CountedBoxes:
    """The boxes of a bare LMDB; `sides` of the smallest and largest, `wrong` as sentences."""

    count: int
    images_without: int
    difficult: int
    outside: int
    sides: tuple[float, float] | None
    wrong: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What a bare LMDB or list holds; sizes are texts such as `3x28x28`, the most frequent first.

    `labels` counts boxes where there are boxes, and `boxes` is None where there are none of them.
    """

    count: int
    labels: Mapping[int, int]
    shapes: Mapping[str, int]
    forms: Mapping[str, int]
    broken: tuple[str, ...]
    boxes: CountedBoxes | None = None


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A dataset's manifest, or what was counted where there is none."""

    path: Path
    content: Manifest | Counted


@dataclass(frozen=True, kw_only=True)
class SheetSettings:
    """A contact sheet to draw: where to, how many records, and of which split of a dataset."""

    path: Path
    count: int = 64
    split: str | None = None
    force: bool = False


def show_dataset(
    path: Path, *, sheet: SheetSettings | None = None, root: Path | None = None, on_progress: OnProgress
) -> Shown:
    """Returns what is known of a dataset folder; a bare LMDB folder or list file is gone through.

    Args:
        path: Either of the three.
        sheet: A contact sheet to write too.
        root: Where the paths of a bare list start; the list's folder by default.
        on_progress: Gets a name, how many records are done, and of how many.

    Raises:
        DataError: There is none of them, or the dataset is unfinished.
    """
    if sheet is not None and sheet.path.exists() and not sheet.force:
        raise UsageError(f"{sheet.path}: is there already; --force replaces it")
    if is_bare(path):
        with closing(open_records(path, root=root)) as records:
            if sheet is not None:
                _write_sheet(sheet, records, ())
            return Shown(path=path, content=_count(records, path, on_progress))
    manifest = read_manifest(path)
    if sheet is not None:
        name = _split_name(manifest, sheet.split)
        with closing(checks.open_split(path, manifest, name)) as records:
            _write_sheet(sheet, records, manifest.class_names)
    return Shown(path=path, content=manifest)


def verify_dataset(path: Path, on_progress: OnProgress) -> checks.Verdict:
    """Checks every record of a dataset against its manifest.

    Raises:
        DataError: There is no finished dataset.
    """
    if is_bare(path):
        raise DataError(
            f"{path}: has no dataset.json to be checked against; 'caffeflow dataset show {path}' decodes and "
            "counts its records"
        )
    return checks.verify(path, on_progress)


def is_bare(path: Path) -> bool:
    """Tells whether the path is an LMDB folder or a list file, as Caffe's own tools leave them."""
    return path.is_file() or (path / "data.mdb").exists()


def _count(records: Records, path: Path, on_progress: OnProgress) -> Counted:
    def tell(done: int) -> None:
        on_progress(path.name, done, records.count)

    census = checks.take_census(records, tell)
    return Counted(
        count=census.count,
        labels=dict(sorted(census.labels.items())),
        shapes={"x".join(map(str, shape)): count for shape, count in census.shapes.most_common()},
        forms=dict(census.forms.most_common()),
        broken=tuple(census.broken[: checks.LISTED]),
        boxes=_boxes(census.boxes) if census.boxes.records else None,
    )


def _boxes(census: BoxCensus) -> CountedBoxes:
    return CountedBoxes(
        count=census.count,
        images_without=census.empty,
        difficult=census.difficult,
        outside=census.outside,
        sides=census.sides,
        wrong=tuple(census.wrong[: checks.LISTED]),
    )


def _split_name(manifest: Manifest, asked: str | None) -> str:
    if asked is None:
        return next(iter(manifest.splits))
    if asked not in manifest.splits:
        raise UsageError(f"there is no split '{asked}'; this dataset has: {', '.join(manifest.splits)}")
    return asked


def _write_sheet(sheet: SheetSettings, records: Records, class_names: tuple[str, ...]) -> None:
    picture = contact_sheet(records, count=sheet.count, class_names=class_names)
    write_atomically(sheet.path, images.encode(picture, "png"))
