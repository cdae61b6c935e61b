"""The table of what a copy by name does."""

from __future__ import annotations

import numpy as np

from caffeflow.proto.binary import LayerArrays
from caffeflow.weights.copying import copy_table, unusable


def layer(name: str, *shapes: tuple[int, ...], fill: float = 1.0) -> LayerArrays:
    arrays = tuple(np.full(shape, fill, np.float32) for shape in shapes)
    return LayerArrays(name=name, type="InnerProduct", bottoms=(), tops=(), arrays=arrays)


def test_every_layer_has_its_row_and_misfits_say_why() -> None:
    source = [
        layer("data"), layer("conv1", (2, 3, 5, 5), (2,)), layer("fc6", (1, 1, 7, 11), (1, 1, 1, 7)),
        layer("fc7", (7, 7), (7,)), layer("fc8", (13, 7), (13,)),
    ]  # fmt: skip
    target = {
        "data": [], "conv1": [(2, 3, 5, 5), (2,)], "relu": [], "fc6": [(7, 11), (7,)], "fc7": [(7, 5), (7,)],
        "fc8_x": [(3, 7), (3,)],
    }  # fmt: skip
    table = copy_table(source, target)
    assert [(row.layer, row.state) for row in table.rows] == [
        ("conv1", "copied"), ("fc6", "copied"), ("fc7", "mismatched"), ("fc8_x", "new"), ("fc8", "skipped"),
    ]  # fmt: skip
    (misfit,) = (row for row in table.rows if row.state == "mismatched")
    assert "layer 'fc7'" in misfit.reason
    assert "rename the layer" in misfit.reason
    assert table.rows[-1].shapes == ((13, 7), (13,))
    assert (table.count("copied"), table.layers("new")) == (2, ["fc8_x"])


def test_a_layer_that_has_blobs_in_the_file_only_does_not_fit() -> None:
    table = copy_table([layer("pool", (2,))], {"pool": []})
    assert table.layers("mismatched") == ["pool"]


def test_of_layers_that_are_wanted_those_with_bad_numbers_are_named() -> None:
    source = [
        layer("a", (2, 3)),
        layer("b", (5,), fill=np.nan),
        layer("c", (5,), fill=np.inf),
        layer("d", (1,), fill=np.nan),
    ]
    assert unusable(source, ["a", "b", "c"]) == ["b", "c"]
