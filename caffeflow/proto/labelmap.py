"""Label maps: the names of a detection dataset's labels, as `labelmap.prototxt` holds them.

Label 0 is the background, and the number of classes counts it: VOC's 20 kinds of objects make 21
classes. Labels may have gaps (the published COCO model has 80 names among 91 labels).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from caffeflow.errors import DataError, NetError, suggestion
from caffeflow.proto import text
from caffeflow.proto.caffe_pb2 import LabelMap as LabelMapMessage

BACKGROUND: Final = 0
BACKGROUND_NAME: Final = "none_of_the_above"  # what SSD's own maps call it
UNUSED_NAME: Final = "N/A"  # what the published COCO map calls each number that no class has


@dataclass(frozen=True, slots=True)
class Label:
    """One entry of a label map: the name in annotations, the number, and the name for people."""

    name: str
    label: int
    display_name: str


@dataclass(frozen=True)
class LabelMap:
    """The labels of a detection dataset, background among them.

    Raises:
        DataError: Two entries share a name (other than `N/A`) or a number, or a number is negative.
    """

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        for what, values in (
            ("label", [str(entry.label) for entry in self.labels]),
            ("name", [entry.name for entry in self.labels if entry.name != UNUSED_NAME]),
        ):
            twice = [value for value, count in Counter(values).items() if count > 1]
            if twice:
                raise DataError(f"label map: {what} '{twice[0]}' is there twice; each may occur once")
        negative = [entry for entry in self.labels if entry.label < 0]
        if negative:
            entry = negative[0]
            raise DataError(f"label map: '{entry.name}' has label {entry.label}; labels count from 0")

    @property
    def num_classes(self) -> int:
        """What a net's `num_classes` must be at least: the highest label and one, so with background."""
        return max((entry.label for entry in self.labels), default=BACKGROUND) + 1

    @cached_property
    def display_names(self) -> Mapping[int, str]:
        """The name for people of each label."""
        return {entry.label: entry.display_name for entry in self.labels}

    @cached_property
    def names(self) -> Mapping[int, str]:
        """The name in annotations of each label."""
        return {entry.label: entry.name for entry in self.labels}

    @cached_property
    def _by_name(self) -> Mapping[str, int]:
        return {entry.name: entry.label for entry in self.labels if entry.name != UNUSED_NAME}

    def label_of(self, name: str) -> int:
        """Returns the label of a name.

        Raises:
            DataError: There is no such name.
        """
        if name not in self._by_name:
            hint = suggestion(name, self._by_name) or f"; it has {', '.join(self._by_name)}"
            raise DataError(f"class '{name}' is not in the label map{hint}")
        return self._by_name[name]

    def find_label(self, name: str) -> int | None:
        """Returns the label of a name, or None if there is no such name."""
        return self._by_name.get(name)


def label_map_of(names: Iterable[str]) -> LabelMap:
    """Returns a label map of class names: background as 0, the names from 1 on."""
    entries = [Label(BACKGROUND_NAME, BACKGROUND, "background")]
    entries += [Label(name, number, name) for number, name in enumerate(names, start=1)]
    return LabelMap(tuple(entries))


def read_label_map(path: Path) -> LabelMap:
    """Reads a `labelmap.prototxt`.

    Raises:
        DataError: It cannot be read, is no label map, or contradicts itself.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text"
        raise DataError(f"{path}: label map cannot be read: {reason}") from error
    try:
        message = text.parse(content, LabelMapMessage(), source=str(path))
    except NetError as error:  # a label map is data to the user, prototxt only by its format
        raise DataError(str(error)) from error
    if not message.item:
        raise DataError(f"{path}: has no item; expected items with name, label and display_name")
    entries = tuple(Label(item.name, item.label, item.display_name or item.name) for item in message.item)
    try:
        return LabelMap(entries)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def format_label_map(label_map: LabelMap) -> str:
    """Returns a label map as prototxt text, as SSD's `create_label_map` writes it."""
    items = [
        LabelMapMessage(item=[{"name": entry.name, "label": entry.label, "display_name": entry.display_name}])
        for entry in label_map.labels
    ]
    return "".join(text.format_message(item) for item in items)


def names_in_order(label_map: LabelMap) -> Sequence[str]:
    """Returns a name for each number below `num_classes`; empty where the map has a gap."""
    return [label_map.display_names.get(label, "") for label in range(label_map.num_classes)]
