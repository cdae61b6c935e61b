"""BatchNorm with its Scale as one operator, where that says the same."""

from __future__ import annotations

import pytest

from tests.support.engine_nets import layer, norm
from tests.support.onnx_nets import assert_same, export, images

DATA = images(5, 3, 7, 2)
ABS = layer("abs", "AbsVal", "data", "abs")
NORM = layer("bn", "BatchNorm", "abs", "bn")


def operators(text: str, **settings) -> list[str]:
    assert_same(text, **settings)
    return [node.op_type for node in export(text, **settings).frame.graph.node]


@pytest.mark.parametrize("bias", [True, False])
def test_a_batch_norm_and_its_scale_are_one_operator(bias: bool) -> None:
    text = DATA + ABS + norm("bn", "abs", "bn", scale_bias=bias)
    assert operators(text) == ["Abs", "BatchNormalization"]
    made = export(text)
    assert list(made.outputs) == ["bn"]
    names = ["bn/scale/scale", "bn/scale/bias" if bias else "bn/bias", "bn/mean", "bn/variance"]
    assert list(made.weights) == names


def test_so_they_are_in_place() -> None:
    text = DATA + ABS + norm("bn", "abs", "abs") + layer("relu", "ReLU", "abs", "abs")
    assert operators(text) == ["Abs", "BatchNormalization", "Relu"]


@pytest.mark.parametrize(
    "behind",
    [
        layer("scale", "Scale", "bn", "y", "scale_param { axis: 2 }"),
        layer("scale", "Scale", "bn", "y", "scale_param { num_axes: 2 }"),
        layer("scale", "Scale", "bn abs", "y", "scale_param { axis: 0 }"),
        layer("scale", "Scale", "bn", "y") + layer("other", "Exp", "bn", "z"),
    ],
    ids=["another axis", "two axes", "a factor from elsewhere", "two readers"],
)
def test_a_scale_that_does_something_else_stays(behind: str) -> None:
    found = operators(DATA + ABS + NORM + behind)
    assert found[:2] == ["Abs", "BatchNormalization"]
    assert "Mul" in found


def test_a_value_between_them_that_is_asked_for_keeps_them_apart() -> None:
    text = DATA + ABS + NORM + layer("scale", "Scale", "bn", "y")
    assert operators(text, keep=["bn"]) == ["Abs", "BatchNormalization", "Mul"]


def test_statistics_of_the_batch_leave_the_scale_alone() -> None:
    norm_by_batch = layer("bn", "BatchNorm", "abs", "bn", "batch_norm_param { use_global_stats: false }")
    found = operators(DATA + ABS + norm_by_batch + layer("scale", "Scale", "bn", "y"))
    assert "BatchNormalization" not in found
    assert found[-1] == "Mul"
