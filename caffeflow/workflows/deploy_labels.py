"""What the classes of a deployed net are called: labels.txt for a classifier, a label map for boxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from caffeflow.data.manifest import Manifest
from caffeflow.errors import DataError, UsageError
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.labelmap import read_label_map
from caffeflow.workflows.bundle import LABEL_MAP_NAME, LABELS_NAME, read_labels
from caffeflow.workflows.detection_names import label_map_files


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Where names may come from.

    Attributes:
        given: The user's file; None: the dataset's, or what lies beside the net.
        manifest: Of the dataset.
        dataset: Its folder.
        folders: Where a label map may lie.
        whole_net: The net as it was tested, which may name a label map.
    """

    given: Path | None
    manifest: Manifest | None
    dataset: Path | None
    folders: tuple[Path, ...]
    whole_net: NetParameter


def label_lines(naming: Naming, classes: int, note: Callable[[str], None]) -> tuple[str, ...]:
    """Returns a name for each score of a classifier; a number where none is known.

    Raises:
        DataError: The user's file has another number of names, or the dataset has more.
    """
    if naming.given is not None:
        names = read_labels(naming.given)
        if len(names) != classes:
            raise DataError(
                f"{naming.given}: has {len(names)} lines, but the net tells {classes} classes apart; it"
                " needs a line for each"
            )
        return names
    names = naming.manifest.class_names if naming.manifest is not None else ()
    if len(names) > classes:
        raise DataError(
            f"{naming.dataset}: has {len(names)} classes, but the net tells {classes} apart; give the names"
            " of the net's classes with --labels"
        )
    if not names:
        note(f"what the {classes} classes are called is not known: {LABELS_NAME} has numbers; give --labels")
    elif len(names) < classes:
        note(
            f"the dataset names {len(names)} of the net's {classes} classes; the others are called by number"
        )
    return (*names, *(str(label) for label in range(len(names), classes)))


def find_label_map(naming: Naming, note: Callable[[str], None]) -> bytes | None:
    """Returns the label map of a net with boxes; None if there is none.

    Raises:
        UsageError: The user's file is missing.
        DataError: The file is no label map.
    """
    if naming.given is not None and not naming.given.is_file():
        raise UsageError(f"{naming.given}: there is no such label map")
    places = [naming.given] if naming.given is not None else list(_places(naming))
    for path in places:
        if path.is_file():
            read_label_map(path)
            return path.read_bytes()
    note(f"there is no {LABEL_MAP_NAME}, so labels are shown as numbers; give --labels")
    return None


def _places(naming: Naming) -> list[Path]:
    found = [folder / LABEL_MAP_NAME for folder in naming.folders]
    found += list(label_map_files(naming.whole_net))
    if naming.dataset is not None and naming.manifest is not None and naming.manifest.label_map:
        found.append(naming.dataset / naming.manifest.label_map)
    return found
