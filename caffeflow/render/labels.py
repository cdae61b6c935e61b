"""The label map that a detection net is rendered with.

It is the dataset's, entry by entry. Where there is no dataset, names are made up; classes beyond the
dataset's get such names too, so that every score of the net has one.
"""

from __future__ import annotations

from typing import Final

from caffeflow.proto.labelmap import (
    BACKGROUND,
    Label,
    LabelMap,
    format_label_map,
    label_map_of,
    read_label_map,
)
from caffeflow.render.resolve import Resolution

LABEL_MAP: Final = "labelmap.prototxt"


def label_map_text(resolution: Resolution) -> str:
    """Returns the text of `labelmap.prototxt`.

    Raises:
        DataError: The dataset's label map cannot be read.
    """
    dataset, classes = resolution.dataset, resolution["net.classes"]
    if dataset.label_map is not None:
        entries = list(read_label_map(dataset.label_map).labels)
    elif dataset.class_names and (not dataset.is_missing or len(dataset.class_names) == classes + 1):
        named = enumerate(dataset.class_names)
        entries = [Label(name, label, name) for label, name in named if name and label != BACKGROUND]
        entries = [*label_map_of(()).labels, *entries]
    else:
        entries = list(label_map_of(()).labels)
    first_free = max(entry.label for entry in entries) + 1
    taken = {entry.name for entry in entries}
    made_up = [f"class{label}" for label in range(first_free, classes + 1)]
    entries += [
        Label(name if name not in taken else f"{name}_", label, name)
        for label, name in enumerate(made_up, start=first_free)
    ]
    return format_label_map(LabelMap(tuple(entries)))
