"""Checks the labels of a training's data against the classes of its nets, before it starts.

A dataset folder's manifest knows its labels, a list is read through; an LMDB without a manifest is
checked by the loss while it runs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from caffeflow.data.manifest import MANIFEST_NAME, read_manifest
from caffeflow.data.readers.image_list import read_image_list
from caffeflow.engine.net import Net
from caffeflow.errors import DataError
from caffeflow.layers.data import record_source
from caffeflow.layers.inference import LayerFacts
from caffeflow.layers.params import canonical_axis
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.graph import Value

_log = logging.getLogger(__name__)

_WITH_LABELS: Final = ("Data", "ImageData", "AnnotatedData")
_READERS: Final = {"SoftmaxWithLoss", "InfogainLoss", "Accuracy"}


@dataclass(frozen=True)
class _Use:
    """A layer that takes labels as class numbers."""

    layer: str
    classes: int
    ignored: int | None


def check_labels(nets: Iterable[Net]) -> None:
    """Checks every label of the nets' sources.

    Raises:
        DataError: A label is no class of the layer that reads it.
    """
    for net in nets:
        _check_net(net.shapes.layers)


def sources_of(net: NetParameter) -> list[str]:
    """Returns the datasets that a net reads: their folders, or the sources of those without a manifest."""
    sources = [Path(record_source(layer)) for layer in net.layer]
    return [
        str(source.parent if (source.parent / MANIFEST_NAME).exists() else source)
        for source in sources
        if source != Path()
    ]


def _check_net(layers: Iterable[LayerFacts]) -> None:
    sources: dict[Value, LayerParameter] = {}
    for facts in layers:
        node = facts.node
        if facts.spec.type in _WITH_LABELS and len(node.tops) > 1:
            sources[node.tops[1]] = node.layer
        elif facts.spec.type in _READERS and node.bottoms[1] in sources:
            _check(sources[node.bottoms[1]], _use_of(facts))


def _use_of(facts: LayerFacts) -> _Use:
    scores = facts.bottoms[0]
    return _Use(
        layer=facts.name,
        classes=scores[canonical_axis(facts.params.axis, len(scores))],
        ignored=facts.params.ignore_label,
    )


def _check(data: LayerParameter, use: _Use) -> None:
    for label, count, place in _labels_of(data):
        if label == use.ignored or 0 <= label < use.classes:
            continue
        times = f", which {count} records have" if count > 1 else ""
        raise DataError(
            f"{place}: label {label}{times}, is not among the {use.classes} classes (0 to {use.classes - 1})"
            f" that layer '{use.layer}' distinguishes; set num_output of the last layer to at least"
            f" {label + 1}, or correct the labels"
        )


def _labels_of(data: LayerParameter) -> Iterator[tuple[int, int, str]]:
    """Yields labels that occur, how often, and where."""
    source = Path(record_source(data))
    if (source.parent / MANIFEST_NAME).exists():
        for split in read_manifest(source.parent).splits.values():
            if split.path == source.name:
                for label, count in sorted(split.labels.items()):
                    yield label, count, f"{source.parent / MANIFEST_NAME}: split '{source.name}'"
                return
    if data.type == "ImageData":
        listed = read_image_list(source)
        found = np.unique(listed.labels, return_index=True, return_counts=True)
        for label, first, count in zip(*(column.tolist() for column in found), strict=True):
            yield label, count, f"{source}: '{listed.name(first)}'"
        return
    _log.info("%s: has no %s beside it, so its labels are checked as they come", source, MANIFEST_NAME)
