"""Checks of a detection dataset: boxes against the manifest, and the files beside the records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from caffeflow.data.box_census import BoxCensus
from caffeflow.data.manifest import Manifest, Split
from caffeflow.data.placed_boxes import BOXES_OUTSIDE
from caffeflow.data.sinks.annotated import without_blanks
from caffeflow.errors import CaffeflowError
from caffeflow.proto.labelmap import BACKGROUND, names_in_order, read_label_map

_LISTED: Final = 20


def check_boxes(
    census: BoxCensus, labels: Mapping[int, int], split: Split, manifest: Manifest
) -> Iterator[str]:
    """Yields what is wrong with the boxes of a split.

    Args:
        census: What was found.
        labels: Boxes of each label that was found.
        split: What the manifest says of the split.
        manifest: With the names of the labels.
    """
    yield from census.wrong[:_LISTED]
    if len(census.wrong) > _LISTED:
        yield f"{len(census.wrong) - _LISTED} more boxes cannot be trained on"
    if census.count != split.boxes:
        yield f"holds {census.count} boxes; the manifest says {split.boxes}"
    if census.records != split.count:
        yield f"{census.records} records are of type BBOX; expected all {split.count}"
    known = split.unusual.get(BOXES_OUTSIDE, 0)
    if census.outside != known:
        yield f"{census.outside} boxes reach outside their images; the manifest says {known}"
    names = manifest.class_names
    for label in sorted(labels):
        if label == BACKGROUND or (label < len(names) and not names[label]):
            yield f"label {label} of {labels[label]} boxes is not in the label map"


def check_label_map(path: Path, manifest: Manifest) -> Iterator[str]:
    """Yields what is wrong with the label map file."""
    try:
        label_map = read_label_map(path)
    except CaffeflowError as error:
        yield str(error)
        return
    if tuple(names_in_order(label_map)) != manifest.class_names:
        yield f"{path.name}: does not name the classes of the manifest"


def check_name_size(path: Path, names: Sequence[str]) -> Iterator[str]:
    """Yields what is wrong with the lines `name height width`.

    Args:
        path: The file.
        names: Of the images, in the order of the records.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")[:-1]
    except OSError as error:
        yield f"{path.name}: cannot be read: {error.strerror}"
        return
    if len(lines) != len(names):
        yield f"{path.name}: has {len(lines)} lines; expected one for each of {len(names)} records"
        return
    stems = [without_blanks(PurePosixPath(name).stem) for name in names]
    found = [line.split(" ") for line in lines]
    has_stems = any(fields[0] == stem for fields, stem in zip(found, stems, strict=True))  # else numbers
    for number, (fields, stem) in enumerate(zip(found, stems, strict=True), start=1):
        is_named = fields[0] == stem if has_stems else fields[0].isdecimal()
        if not is_named or len(fields) != 3 or not all(_is_side(field) for field in fields[1:]):
            yield (
                f"{path.name}:{number}: '{' '.join(fields)}': expected name, height and width of "
                f"'{names[number - 1]}'"
            )
            return


def _is_side(text: str) -> bool:
    return text.isdecimal() and int(text) > 0
