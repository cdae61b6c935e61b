"""What values, nodes and weights are called in ONNX, and what leaves the graph."""

from __future__ import annotations

import pytest

from caffeflow.errors import NetError
from tests.support.engine_nets import convolution, layer, norm
from tests.support.onnx_nets import assert_same, export, images

DATA = images(2, 3, 7, 5)


def nodes(text: str, **settings) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    return [
        (node.name, node.op_type, tuple(node.input), tuple(node.output))
        for node in export(text, **settings).frame.graph.node
    ]


def test_an_in_place_layer_leaves_the_blobs_name_to_what_the_blob_holds_in_the_end() -> None:
    text = DATA + convolution("conv", "data", "conv", 2, 3) + layer("relu", "ReLU", "conv", "conv")
    assert nodes(text) == [
        ("conv", "Conv", ("data", "conv/weight", "conv/bias"), ("conv#0",)),
        ("relu", "Relu", ("conv#0",), ("conv",)),
    ]
    assert_same(text)


def test_an_input_keeps_its_name_whatever_writes_on_it() -> None:
    text = DATA + layer("relu", "ReLU", "data", "data") + layer("abs", "AbsVal", "data", "abs")
    assert nodes(text) == [
        ("relu", "Relu", ("data",), ("data#1",)),
        ("abs", "Abs", ("data#1",), ("abs",)),
    ]
    made = export(text)
    assert made.inputs == {"data": (2, 3, 7, 5)}
    assert made.outputs == {"abs": (2, 3, 7, 5)}


def test_an_output_that_was_written_on_an_input_is_known_by_its_blob() -> None:
    made = export(DATA + layer("relu", "ReLU", "data", "data"))
    assert (made.outputs, made.blobs) == ({"data#1": (2, 3, 7, 5)}, {"data#1": "data"})


def test_dropout_and_split_are_gone_and_their_tops_are_what_they_read() -> None:
    text = (
        DATA
        + convolution("conv", "data", "conv", 2, 3)
        + layer("relu", "ReLU", "conv", "conv")
        + layer("drop", "Dropout", "conv", "conv")
        + layer("drop2", "Dropout", "conv", "drop2")
        + layer("split", "Split", "drop2", "one two")
        + layer("sum", "Eltwise", "one two", "sum")
    )
    assert nodes(text)[1:] == [
        ("relu", "Relu", ("conv#0",), ("conv",)),
        ("sum", "Add", ("conv", "conv"), ("sum",)),
    ]
    assert_same(text)


def test_an_output_that_is_another_name_of_a_value_keeps_its_own() -> None:
    text = DATA + layer("abs", "AbsVal", "data", "abs") + layer("drop", "Dropout", "abs", "drop")
    assert nodes(text)[-1] == ("drop", "Identity", ("abs",), ("drop",))
    assert_same(text)


def test_what_only_silence_reads_is_not_written() -> None:
    text = DATA + layer("abs", "AbsVal", "data", "abs") + layer("exp", "Exp", "data", "exp")
    assert [op for _, op, _, _ in nodes(text + layer("hush", "Silence", "exp", ""))] == ["Abs"]


def test_blobs_asked_for_are_outputs_too() -> None:
    text = DATA + convolution("conv", "data", "conv", 2, 3) + layer("prob", "Softmax", "conv", "prob")
    assert list(export(text, keep=["conv", "prob"]).outputs) == ["prob", "conv"]
    assert_same(text, keep=["conv"])
    with pytest.raises(NetError, match="the net has no blob 'cnv'; did you mean 'conv'"):
        export(text, keep=["cnv"])


def test_names_never_clash() -> None:
    text = DATA + convolution("a", "data", "a/weight", 2, 3) + convolution("b", "a/weight", "b", 2, 3)
    made = export(text)
    assert list(made.weights) == ["a/weight_2", "a/bias", "b/weight", "b/bias"]
    assert_same(text)


def test_the_shapes_of_all_blobs_stand_in_the_file() -> None:
    text = DATA + convolution("conv", "data", "conv", 2, 3) + norm("bn", "conv", "bn")
    graph = export(text, dynamic_batch=True).frame.graph
    shapes = {
        info.name: [dim.dim_param or dim.dim_value for dim in info.type.tensor_type.shape.dim]
        for info in (*graph.input, *graph.value_info, *graph.output)
    }
    assert shapes == {"data": ["batch", 3, 7, 5], "conv": ["batch", 2, 5, 3], "bn": ["batch", 2, 5, 3]}


def test_a_net_of_inputs_alone_has_no_output() -> None:
    with pytest.raises(NetError, match="the net has no output"):
        export(DATA)
