"""From boxes with class names to a listing of jobs with labels: the last step of every detection source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow.data.boxes import Annotation, Box
from caffeflow.data.packed import PackedJobs
from caffeflow.data.sample import NO_LABEL, SPLITS, Listing, Location, Omission, SplitName
from caffeflow.data.voc_xml import Corners
from caffeflow.errors import DataError, suggestion
from caffeflow.proto.labelmap import BACKGROUND, LabelMap, read_label_map

_SHOWN: Final = 5  # unknown classes that are told one by one


@dataclass(frozen=True, slots=True)
class NamedBox:
    """A box in pixels, and the class that the annotation names."""

    name: str
    corners: Corners
    is_difficult: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedImage:
    """An image as a source found it; the fields are those of `Job` and `Annotation`."""

    split: SplitName
    name: str
    location: Location
    boxes: Sequence[NamedBox]
    height: int = 0
    width: int = 0
    file: str = ""
    image_id: str = ""


class _LocatedJobs(PackedJobs):
    """Images with boxes that may lie anywhere, in folders or archives of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        self._locations: list[Location] = []

    def add(self, image: NamedImage, boxes: Iterable[Box]) -> None:
        """Appends an image with its labelled boxes."""
        annotation = Annotation(
            boxes=tuple(boxes),
            height=image.height,
            width=image.width,
            file=image.file,
            image_id=image.image_id,
        )
        self._append(image.name, NO_LABEL, annotation)
        self._locations.append(image.location)

    def _locate(self, index: int, name: str) -> Location:
        del name
        return self._locations[index]


class Labels:
    """Finds the label of a class name in a label map; the background is no label for a box.

    Args:
        label_map: The map.
        aliases: Other names of its names, such as COCO's words for the numbers in SSD's map.
    """

    def __init__(self, label_map: LabelMap, aliases: Mapping[str, str] | None = None) -> None:
        self.label_map = label_map
        self._aliases = aliases or {}

    def find(self, name: str) -> int | None:
        """Returns the label, or None if there is none."""
        label = self.label_map.find_label(name)
        if label is None and name in self._aliases:
            label = self.label_map.find_label(self._aliases[name])
        return label if label != BACKGROUND else None


def given_label_map(path: Path) -> LabelMap:
    """Reads the label map that the user gives; it must name something besides the background."""
    label_map = read_label_map(path)
    if label_map.num_classes < BACKGROUND + 2:
        raise DataError(f"{path}: names nothing but the background; expected a label from 1 for each class")
    return label_map


def listing_of(
    images: Iterable[NamedImage],
    labels: Labels,
    *,
    keep_empty: bool | None,
    omissions: Iterable[Omission] = (),
    notes: Iterable[str] = (),
) -> Listing:
    """Returns the listing of a source's images.

    Args:
        images: In the source's order.
        labels: The label of each class; boxes of other classes are left out and told.
        keep_empty: Whether images without boxes stay. None: in val, where a detection on them is a false
            alarm that counts, but not in train, where there is nothing to learn from them.
        omissions: What was left out before.
        notes: What the source has to say.
    """
    splits = {split: _LocatedJobs() for split in SPLITS}
    unknown: list[Omission] = []
    names: Counter[str] = Counter()
    empty: Counter[SplitName] = Counter()
    for image in images:
        boxes: list[Box] = []
        for found in image.boxes:
            label = labels.find(found.name)
            if label is None:
                names[found.name] += 1
                unknown.append(_unknown(image, found))
            else:
                boxes.append(_box(found, label))
        if not boxes and not (image.split == "val" if keep_empty is None else keep_empty):
            empty[image.split] += 1
            continue
        splits[image.split].add(image, boxes)
    return Listing(
        splits={split: jobs for split, jobs in splits.items() if len(jobs)},
        label_map=labels.label_map,
        omissions=(*omissions, *unknown),
        notes=(*notes, *_unknown_notes(names, labels), *_split_notes(empty, has_val=len(splits["val"]) > 0)),
    )


def _box(found: NamedBox, label: int) -> Box:
    xmin, ymin, xmax, ymax = found.corners
    return Box(label=label, xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax, is_difficult=found.is_difficult)


def _unknown(image: NamedImage, found: NamedBox) -> Omission:
    corners = ",".join(f"{corner:g}" for corner in found.corners)
    detail = f"'{found.name}' at {corners}"
    return Omission(split=image.split, name=image.name, reason="unknown class", detail=detail, is_box=True)


def _unknown_notes(names: Counter[str], labels: Labels) -> Iterator[str]:
    """Yields a sentence about each class that the label map lacks, the commonest first."""
    for name, count in names.most_common(_SHOWN):
        hint = suggestion(name, labels.label_map.names.values())
        yield f"class '{name}' is not in the label map: {count:,} boxes are left out{hint}"
    if len(names) > _SHOWN:
        yield f"{len(names) - _SHOWN} more classes are not in the label map"


def _split_notes(empty: Mapping[SplitName, int], *, has_val: bool) -> Iterator[str]:
    for split, count in empty.items():
        yield f"{split}: {count:,} images without boxes are left out; --keep-empty keeps them"
    if not has_val:
        yield "no val split: nets cannot be tested on this dataset; --val-fraction 0.1 holds images back"
