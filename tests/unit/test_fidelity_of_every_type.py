"""The fidelity page names every layer type, compared or with a reason, and what is drawn sets every field."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from caffeflow.engine.modules.registry import MODULES
from caffeflow.layers.spec import SPECS
from caffeflow.proto.caffe_pb2 import LayerParameter
from tests.support.drawn_layers import fork
from tests.support.drawn_layers.configuration import drawn
from tests.support.drawn_layers.families import CONFIGURATIONS, FAMILIES
from tests.support.fidelity import read_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fidelity.md"
WORST = 1e-5

# Fields that the CPU code of a type does not read, or that is compared elsewhere.
NOT_DRAWN = {
    "Convolution": {"tf_pad"},  # SSD's fork: a family of its own
    "Convolution with tf_pad": {
        "axis", "bias_term", "dilation", "force_nd_im2col", "group", "kernel_h", "kernel_w", "pad_h", "pad_w",
        "stride_h", "stride_w",
    },
    "Deconvolution": {"tf_pad"},
    "DetectionEvaluate": {"name_size_file", "resize_param"},  # for boxes in pixels, by a file
    "DetectionOutput": {"save_file", "save_output_param", "visualize", "visualize_threshold"},  # write files
    "Im2col": {"bias_filler", "bias_term", "engine", "group", "num_output", "tf_pad", "weight_filler"},
    "InfogainLoss": {"normalize", "source"},  # refused; a file
    "MultiBoxLoss": {"background_label_id", "do_neg_mining", "ignore_label", "normalize"},  # 0; read by nothing
}  # fmt: skip


def test_every_type_is_compared_or_has_a_reason() -> None:
    rows = read_page(PAGE).rows
    named = [
        key
        for title, kept in rows.items()
        if title.startswith("Layer types")
        for key in kept
        if re.fullmatch(r"\w+", key)
    ]
    assert set(named) == SPECS.keys() == MODULES.keys()
    assert len(named) == len(set(named)) == 72


def test_what_is_compared_is_within_the_bound() -> None:
    rows = read_page(PAGE).rows
    for title in ("Layer types", "Layer types of the SSD fork"):
        for what, cells in rows[title].items():
            assert cells["configurations"] == "20", what
            figures = [cells[kind] for kind in ("tops", "bottom diffs", "param diffs") if cells[kind] != "—"]
            assert all(float(figure) <= WORST for figure in figures), what
    assert len(rows["Layer types"]) == 60
    assert len(rows["Layer types of the SSD fork"]) == 10


@pytest.mark.parametrize("what", [*FAMILIES, *fork.FAMILIES])
def test_every_field_of_a_type_is_drawn(what: str) -> None:
    family = (FAMILIES | fork.FAMILIES)[what]
    seen = defaultdict(set)
    for each in (drawn(what, number, family) for number in range(CONFIGURATIONS)):
        for field, message in each.layer.ListFields():
            if field.name.endswith("_param"):
                seen[field.name].update(inner.name for inner, _ in message.ListFields())
    missing = set()
    for name, fields in seen.items():
        known = LayerParameter.DESCRIPTOR.fields_by_name[name].message_type.fields
        missing |= {field.name for field in known} - fields
    assert missing == NOT_DRAWN.get(what, set())
