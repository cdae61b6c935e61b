"""Comparison of a rendered net with the published one, message by message.

The published files are not ours and are not here: `CAFFEFLOW_PUBLISHED` names a folder with clones of
their repositories, each under its own name. Without it the tests that need them skip and say so.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.text import parse

VARIABLE = "CAFFEFLOW_PUBLISHED"


def published_file(repository: str, path: str) -> Path:
    """Returns a file of a published repository, or skips the test."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} is not set; it names a folder with a clone of {repository} in it")
    found = Path(folder) / repository / path
    assert found.is_file(), f"{found} is missing; clone {repository} into {folder}"
    return found


def without_places(layer: LayerParameter) -> LayerParameter:
    """Returns a layer without what depends on where a user's files are."""
    kept = LayerParameter()
    kept.CopyFrom(layer)
    kept.data_param.ClearField("source")
    kept.annotated_data_param.ClearField("label_map_file")
    kept.detection_evaluate_param.ClearField("name_size_file")
    if kept.detection_output_param.HasField("save_output_param"):
        for field in ("output_directory", "label_map_file", "name_size_file"):
            kept.detection_output_param.save_output_param.ClearField(field)
    return kept


def check_equal(ours: str, theirs: str) -> int:
    """Checks that two nets are equal as messages, layer by layer; returns the number of layers compared."""
    mine = parse(ours, NetParameter(), source="rendered")
    published = parse(theirs, NetParameter(), source="published")
    assert [layer.name for layer in mine.layer] == [layer.name for layer in published.layer]
    pairs = zip(mine.layer, published.layer, strict=True)
    differing = [(one, other) for one, other in pairs if without_places(one) != without_places(other)]
    assert not differing, f"{len(differing)} layers differ, first:\n{differing[0][0]}\n{differing[0][1]}"
    compared = len(mine.layer)
    for net in (mine, published):
        net.ClearField("layer")
    assert mine == published, "what is outside of the layers differs"
    return compared
