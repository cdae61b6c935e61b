from __future__ import annotations

import pytest

from caffeflow.errors import NetError
from caffeflow.proto import text
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import Value, build_graph


def graph_of(prototxt: str):
    return build_graph(text.parse(prototxt, NetParameter(), source="n"))


def test_in_place_layers_make_new_versions_and_later_readers_see_them() -> None:
    graph = graph_of(
        """
        layer { name: "d" top: "x" }
        layer { name: "relu" bottom: "x" top: "x" }
        layer { name: "drop" bottom: "x" top: "x" }
        layer { name: "late" bottom: "x" top: "l" }
        """
    )
    assert [node.bottoms for node in graph.nodes] == [
        (),
        (Value("x", 0),),
        (Value("x", 1),),
        (Value("x", 2),),
    ]
    assert [node.is_in_place for node in graph.nodes] == [False, True, True, False]
    assert graph.last("x") == Value("x", 2)
    assert [node.name for node in graph.readers(Value("x", 0))] == ["relu"]


def test_outputs_are_unread_values_in_byte_order_of_their_names() -> None:
    graph = graph_of('layer { top: "b" top: "a" top: "Z" top: "read" } layer { bottom: "read" top: "a2" }')
    assert [value.blob for value in graph.outputs] == ["Z", "a", "a2", "b"]


def test_an_in_place_value_that_nobody_reads_is_an_output_once() -> None:
    graph = graph_of('layer { top: "x" } layer { bottom: "x" top: "x" }')
    assert graph.outputs == (Value("x", 1),)


@pytest.mark.parametrize(
    ("prototxt", "words"),
    [
        ('layer { name: "a" bottom: "nope" top: "x" }', ["layer 'a'", "'nope'", "no layer of this phase"]),
        (
            'layer { name: "d" top: "pool1" } layer { name: "a" bottom: "pol1" }',
            ["layer 'a'", "'pol1'", "did you mean 'pool1'"],
        ),
        (
            'layer { name: "a" bottom: "x" } layer { name: "late" top: "x" }',
            ["layer 'a'", "'late' makes it", "later"],
        ),
        (
            'layer { top: "x" } layer { name: "a" bottom: "x" top: "y" } layer { name: "r" bottom: "x" top: "x" }',
            ["layer 'r'", "'x'", "earlier layer 'a'"],
        ),
        ('layer { name: "a" top: "x" } layer { name: "b" top: "x" }', ["layer 'b'", "'x'", "earlier layer"]),
        (
            'layer { name: "a" top: "x" top: "y" } layer { name: "b" bottom: "x" bottom: "y" top: "y" }',
            ["layer 'b'", "'y'"],
        ),
        (
            'layer { name: "a" top: "x" } layer { name: "b" bottom: "x" propagate_down: [true, true] }',
            ["2 propagate"],
        ),
    ],
)
def test_errors_name_the_layer_and_the_blob(prototxt: str, words: list[str]) -> None:
    with pytest.raises(NetError) as caught:
        graph_of(prototxt)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_phase_of_a_layer_is_its_own_or_the_nets() -> None:
    graph = graph_of(
        'state { phase: TRAIN } layer { name: "a" top: "x" } layer { name: "b" top: "y" phase: TEST }'
    )
    assert [graph.phase_of(node) for node in graph.nodes] == ["TRAIN", "TEST"]
