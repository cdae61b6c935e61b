from __future__ import annotations

import numpy as np
import pytest

from caffeflow.errors import WeightsError
from caffeflow.proto.binary import LayerArrays
from caffeflow.proto.matching import match


def layer(name: str, *shapes: tuple[int, ...]) -> LayerArrays:
    arrays = tuple(np.arange(np.prod(shape), dtype=np.float32).reshape(shape) for shape in shapes)
    return LayerArrays(name, "Any", (), (), arrays)


def test_layers_are_matched_by_name_and_the_rest_is_reported() -> None:
    plan = match([layer("conv1", (2, 3), (2,)), layer("fc8", (5, 2)), layer("relu")], {
        "conv1": [(2, 3), (2,)], "fc8_new": [(7, 2)], "relu": [],
    })  # fmt: skip
    assert [name for name, _ in plan.copied] == ["conv1"]
    assert plan.new == ("fc8_new",)
    assert plan.skipped == ("fc8",)


def test_legacy_shapes_are_aligned_from_the_last_axis() -> None:
    plan = match([layer("ip", (1, 1, 5, 3), (1, 1, 1, 5))], {"ip": [(5, 3), (5,)]})
    assert [array.shape for array in plan.copied[0][1]] == [(5, 3), (5,)]


@pytest.mark.parametrize("source", [(1, 5), (5, 1, 1, 1), (1, 1, 5)])
def test_other_shapes_of_the_same_count_do_not_fit(source: tuple[int, ...]) -> None:
    with pytest.raises(WeightsError):
        match([layer("ip", source)], {"ip": [(5,)]})


def test_mismatch_names_the_layer_both_shapes_and_the_way_out() -> None:
    with pytest.raises(WeightsError) as caught:
        match([layer("fc8", (1000, 3))], {"fc8": [(57, 3)]})
    message = str(caught.value)
    assert all(word in message for word in ("layer 'fc8'", "1000 3 (3000)", "57 3 (171)", "rename the layer"))


def test_another_number_of_blobs_is_refused() -> None:
    with pytest.raises(WeightsError, match="2 blobs, the net wants 1"):
        match([layer("ip", (2, 2), (2,))], {"ip": [(2, 2)]})


def test_a_later_source_layer_of_the_same_name_wins() -> None:
    later = LayerArrays("ip", "Any", (), (), (np.full((2,), 9, np.float32),))
    plan = match([layer("ip", (2,)), later], {"ip": [(2,)]})
    assert plan.copied[0][1][0].tolist() == [9, 9]


def test_all_layers_that_do_not_fit_are_counted() -> None:
    source = [layer("a", (2, 3)), layer("b", (5,)), layer("c", (7,), (2,))]
    with pytest.raises(WeightsError, match=r"layer 'a'.*so it is with 2 more"):
        match(source, {"a": [(3, 2)], "b": [(3,)], "c": [(7,)]})
