"""A dataset folder's `dataset.json`: what is in it, written last; without it there is no dataset.

Nothing in it depends on when or how fast it was made, so that a resumed build and an unbroken one
write the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from caffeflow import __version__
from caffeflow.errors import DataError
from caffeflow.files import write_text

if TYPE_CHECKING:  # label maps bring protobuf, which reading a manifest does not need
    from caffeflow.data.sample import Task

FORMAT: Final = 1
MANIFEST_NAME: Final = "dataset.json"
UNFINISHED_NAME: Final = ".unfinished"


@dataclass(frozen=True, kw_only=True)
class Split:
    """One split of a dataset.

    Attributes:
        path: The LMDB folder or the list file, relative to the dataset folder.
        root: The folder that the list's paths start from, relative too; None for an LMDB.
        count: Records written.
        rejected: How many images were left out, by reason.
        unusual: How many were taken although odd (a CMYK JPEG, a PNG named .JPEG), by kind.
        labels: Records of each label that occurs; for detection, boxes.
        digest: `sha256:…` over all keys and values, or list lines and file contents, in order.
        boxes: Written, for detection.
        box_sides: The smallest and the largest box, as side of a square of its share of the image; for
            detection, unless there is no box.
        rejected_boxes: How many were left out of images that stayed, by reason; for detection.
        name_size: The file of name, height and width of each image, relative; val of detection has one.
    """

    path: str
    root: str | None
    count: int
    rejected: Mapping[str, int]
    unusual: Mapping[str, int]
    labels: Mapping[int, int]
    digest: str
    boxes: int | None = None
    box_sides: tuple[float, float] | None = None
    rejected_boxes: Mapping[str, int] | None = None
    name_size: str | None = None


@dataclass(frozen=True, kw_only=True)
class Mean:
    """The mean image of the train split, and its mean over each channel (B, G, R or gray)."""

    path: str
    channels: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A finished dataset; `channels`, `height` and `width` are None where records differ in them.

    Of detection, `classes` counts the background, `class_names` has an empty name for each gap between
    labels, and `label_map` is the file that tells both.
    """

    name: str
    source: str
    backend: str
    encode: str
    channels: int | None
    height: int | None
    width: int | None
    classes: int
    class_names: tuple[str, ...]
    splits: Mapping[str, Split]
    mean: Mean | None
    settings: Mapping[str, Any]
    task: Task = "classification"
    label_map: str | None = None
    caffeflow: str = __version__
    format: int = FORMAT


def read_manifest(folder: Path) -> Manifest:
    """Reads `dataset.json`.

    Raises:
        DataError: There is no dataset, it is unfinished, or the file cannot be understood.
    """
    path = folder / MANIFEST_NAME
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(_why_missing(folder)) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: is not JSON ({error}); make the dataset again with --force") from error
    return _manifest_from(fields, path)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes `dataset.json` in one step; from then on `folder` is a dataset."""
    fields = asdict(manifest)
    first = {name: fields.pop(name) for name in ("format", "caffeflow")}
    write_text(folder / MANIFEST_NAME, json.dumps(first | fields, indent=1) + "\n")


def find_datasets(root: Path) -> list[Path]:
    """Returns the finished dataset folders directly below `root`, by name."""
    return sorted(path.parent for path in root.glob(f"*/{MANIFEST_NAME}"))


def _why_missing(folder: Path) -> str:
    if not folder.exists():
        return f"{folder}: no such dataset folder; make one with: caffeflow prepare"
    if not folder.is_dir():
        return f"{folder}: is a file; expected a dataset folder with a {MANIFEST_NAME}"
    if (folder / UNFINISHED_NAME).exists():
        return f"{folder}: this dataset is unfinished; run its caffeflow prepare again with --resume"
    return f"{folder}: has no {MANIFEST_NAME}, so it is no finished dataset; make one with: caffeflow prepare"


def _manifest_from(fields: Any, path: Path) -> Manifest:
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        found = fields.get("format") if isinstance(fields, dict) else None
        raise DataError(f"{path}: format is {found}; this version of caffeflow reads format {FORMAT}")
    try:
        splits = {name: _split_from(split) for name, split in fields["splits"].items()}
        mean = fields["mean"] and Mean(
            path=fields["mean"]["path"], channels=tuple(fields["mean"]["channels"])
        )
        return Manifest(
            **fields | {"splits": splits, "mean": mean, "class_names": tuple(fields["class_names"])}
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{path}: does not read as a manifest ({error}); make the dataset again") from error


def _split_from(fields: dict[str, Any]) -> Split:
    labels = {int(label): count for label, count in fields["labels"].items()}
    sides = fields.get("box_sides")
    return Split(**fields | {"labels": labels, "box_sides": None if sides is None else tuple(sides)})
