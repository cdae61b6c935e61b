"""Preflight of labels: label map, num_classes and the boxes in the data must mean the same classes.

num_classes counts the background, label 0. A box with a label beyond it reads past the scores of its
prior, in Caffe without a word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from caffeflow.data.manifest import MANIFEST_NAME, read_manifest
from caffeflow.data.readers.annotated import AnnotatedParser
from caffeflow.data.readers.lmdb import LmdbReader
from caffeflow.errors import DataError
from caffeflow.proto.labelmap import LabelMap, read_label_map
from caffeflow.workflows.detection_names import label_map_file
from caffeflow.workflows.preflight_findings import Finding, Flight, exists, place_of

_MOST_LOOKED_AT: Final = 500
_BACKGROUND_NAMES: Final = frozenset({"none_of_the_above", "background", "__background__", "_background_"})


@dataclass(frozen=True)
class _Classes:
    """A layer that tells classes apart."""

    where: str
    count: int
    background: int


@dataclass(frozen=True)
class _Seen:
    """The labels of boxes, and where they were counted."""

    where: str
    boxes: Mapping[int, int]


def check_labels(flight: Flight) -> Iterator[Finding]:
    """Yields what label maps, layers and data do not agree on."""
    users = list(_classes_in(flight))
    for other in users[1:]:
        if other.count != users[0].count:
            yield Finding(
                where=other.where,
                what=f"num_classes is {other.count}, but {users[0].count} at {users[0].where}; write the same"
                " into both: the number of classes with the background",
            )
    yield from _check_maps(flight, users[0] if users else None)
    if users:
        yield from _check_data(flight, users[0])


def _classes_in(flight: Flight) -> Iterator[_Classes]:
    for role, layer in flight.layers("MultiBoxLoss", "DetectionOutput", "DetectionEvaluate"):
        for param in (
            layer.multibox_loss_param,
            layer.detection_output_param,
            layer.detection_evaluate_param,
        ):
            if param.HasField("num_classes"):
                yield _Classes(place_of(role, layer), param.num_classes, param.background_label_id)


def _check_maps(flight: Flight, classes: _Classes | None) -> Iterator[Finding]:
    seen = set()
    for role, layer in flight.layers("AnnotatedData", "DetectionOutput"):
        path = label_map_file(layer)
        if not path or path in seen:
            continue
        seen.add(path)
        where = place_of(role, layer)
        if not exists(path) and layer.type == "AnnotatedData":
            # Caffe: AnnotatedData keeps the name and never opens the file (annotated_data_layer.cpp).
            what = f"label_map_file '{path}' does not exist, so classes are called by their numbers"
            yield Finding(where=where, what=what, is_error=False)
            continue
        try:
            label_map = read_label_map(Path(path))
        except DataError as error:
            yield Finding(where=where, what=str(error), is_of_data=True)
            continue
        if classes is not None:
            yield from _check_map(path, label_map, classes)


def _check_map(path: str, label_map: LabelMap, classes: _Classes) -> Iterator[Finding]:
    named, count = label_map.num_classes, classes.count
    if named > count:
        what = (
            f"num_classes is {count}, but the label map '{path}' has labels up to {named - 1}, so {named}"
            f" classes with the background; write num_classes: {named}, and num_output of each conf layer as"
            f" {named} x its boxes: caffeflow render does both"
        )
        yield Finding(where=classes.where, what=what)
    elif named < count:
        what = (
            f"num_classes is {count}, but the label map '{path}' names {named} with the background; the"
            f" others are never found and count as 0 in mAP: write num_classes: {named}, if that is not meant"
        )
        yield Finding(where=classes.where, what=what, is_error=False)
    if classes.background == 0 and not _may_be_background(label_map):
        what = (
            f"label 0 is '{label_map.names[0]}', but 0 is the background (background_label_id); number"
            " classes from 1 on, and make the LMDBs again"
        )
        yield Finding(where=path, what=what)


def _may_be_background(label_map: LabelMap) -> bool:
    names = (label_map.names.get(0, "background"), label_map.display_names.get(0, "background"))
    return any(name.lower() in _BACKGROUND_NAMES for name in names)


def _check_data(flight: Flight, classes: _Classes) -> Iterator[Finding]:
    sources = {
        layer.data_param.source: place_of(role, layer) for role, layer in flight.layers("AnnotatedData")
    }
    for source, where in sources.items():
        try:
            seen = _labels_of(Path(source))
        except DataError:
            continue  # told by check_records
        if not seen.boxes:
            what = (
                f"{seen.where} has no boxes: there is nothing to learn or to find; look at it with: caffeflow"
            )
            yield Finding(where=where, what=f"{what} dataset show {Path(source).parent}", is_of_data=True)
        for label, boxes in sorted(seen.boxes.items()):
            yield from _check_label(label, boxes, seen.where, classes)


def _check_label(label: int, boxes: int, where: str, classes: _Classes) -> Iterator[Finding]:
    counted = f"{boxes} boxes have" if boxes > 1 else "1 box has"
    if label == classes.background:
        what = f"{counted} label {label}, which is the background's; number classes from 1 on"
        yield Finding(where=where, what=f"{what}, and prepare the data again", is_of_data=True)
    elif not 0 <= label < classes.count:
        what = (
            f"{counted} label {label}, but num_classes is {classes.count} at {classes.where}: labels"
            f" end at {classes.count - 1}; write num_classes: {label + 1} or more (the background counts too)"
        )
        yield Finding(where=where, what=what, is_of_data=True)


def _labels_of(source: Path) -> _Seen:
    """Returns the labels of all boxes, where the dataset has counted them, else of some records.

    Raises:
        DataError: The LMDB cannot be read.
    """
    folder = source.parent
    if (folder / MANIFEST_NAME).exists():
        for name, split in read_manifest(folder).splits.items():
            if split.path == source.name:
                return _Seen(f"{folder / MANIFEST_NAME}: split '{name}'", split.labels)
    found: Counter[int] = Counter()
    parser = AnnotatedParser(source)
    with LmdbReader(source) as reader:
        step = max(reader.count // _MOST_LOOKED_AT, 1)
        looked_at = -(-reader.count // step)
        for key, value in islice(reader.records(step=step), looked_at):
            found.update(parser.parse(key, value).boxes[:, 0].astype(int).tolist())
    which = "" if step == 1 else f" (of {looked_at} records looked at)"
    return _Seen(f"{source}{which}", found)
