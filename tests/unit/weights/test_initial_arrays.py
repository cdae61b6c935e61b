from __future__ import annotations

import numpy as np
import pytest

from caffeflow.engine.net import Net
from caffeflow.errors import NetError
from caffeflow.layers.inference import NetShapes, infer
from caffeflow.proto.caffe_pb2 import FillerParameter, NetParameter
from caffeflow.proto.graph import Graph, build_graph
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import parse
from caffeflow.weights.initial import has_no_filler, initial_arrays

INPUT = (
    'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 6 dim: 5 dim: 7 } } }'
)
NET = (
    INPUT
    + """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 6 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } bias_filler { type: "uniform" min: -1 } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "twin1" type: "Convolution" bottom: "conv" top: "twin1" param { name: "shared" }
  convolution_param { num_output: 6 kernel_size: 1 bias_term: false weight_filler { type: "gaussian" } } }
layer { name: "twin2" type: "Convolution" bottom: "twin1" top: "twin2" param { name: "shared" }
  convolution_param { num_output: 6 kernel_size: 1 bias_term: false weight_filler { type: "msra" } } }
layer { name: "bare" type: "InnerProduct" bottom: "twin2" top: "bare" inner_product_param { num_output: 3 } }
layer { name: "written" type: "InnerProduct" bottom: "bare" top: "written"
  blobs { shape { dim: 1 dim: 3 } data: 2 data: 3 data: 5 }
  inner_product_param { num_output: 1 bias_term: false } }
"""
)


def shapes_of(text: str) -> tuple[Graph, NetShapes]:
    graph = build_graph(filter_net(parse(text, NetParameter(), source="net"), net_state("TRAIN")))
    return graph, infer(graph)


def test_values_are_those_that_the_engine_begins_with() -> None:
    graph, shapes = shapes_of(NET)
    ours, engines = initial_arrays(shapes, seed=11), Net(graph, shapes, seed=11).arrays()
    assert [layer.name for layer in ours] == [layer.name for layer in engines]
    for mine, theirs in zip(ours, engines, strict=True):
        assert (mine.type, mine.bottoms, mine.tops) == (theirs.type, theirs.bottoms, theirs.tops)
        for first, second in zip(mine.arrays, theirs.arrays, strict=True):
            np.testing.assert_array_equal(first, second)


def test_shared_and_written_blobs_are_not_drawn() -> None:
    found = {layer.name: layer.arrays for layer in initial_arrays(shapes_of(NET)[1], seed=1)}
    np.testing.assert_array_equal(found["twin1"][0], found["twin2"][0])
    np.testing.assert_array_equal(found["written"][0], [[2, 3, 5]])
    assert [array.tolist() for array in found["bn"]] == [[0] * 6, [0] * 6, [0]]
    np.testing.assert_array_equal(found["scale"][0], np.ones(6))


def test_weights_without_filler_are_zeros_unless_told_otherwise() -> None:
    _, shapes = shapes_of(NET)
    bare = [facts.name for facts in shapes.layers for blob in facts.blobs if has_no_filler(facts, blob)]
    assert bare == ["bare"]
    zeros = {layer.name: layer.arrays for layer in initial_arrays(shapes, seed=1)}
    assert not zeros["bare"][0].any()
    msra = FillerParameter(type="msra")
    drawn = {layer.name: layer.arrays for layer in initial_arrays(shapes, seed=1, instead_of_zeros=msra)}
    assert drawn["bare"][0].all()
    assert not drawn["bare"][1].any()
    np.testing.assert_array_equal(drawn["conv"][0], zeros["conv"][0])


def test_seeds_differ() -> None:
    _, shapes = shapes_of(NET)
    first, second = (initial_arrays(shapes, seed=seed)[1].arrays[0] for seed in (1, 2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    "blobs",
    ["blobs { shape { dim: 2 dim: 3 } data: [1, 2, 3, 4, 5, 6] }", "blobs { shape { dim: 1 } data: 1 }"],
)
def test_written_blobs_of_another_shape_are_refused(blobs: str) -> None:
    _, shapes = shapes_of(
        INPUT + f'layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip" {blobs}'
        " inner_product_param { num_output: 3 bias_term: false } }"
    )
    with pytest.raises(NetError, match=r"expected 3 x 210; found [12]") as caught:
        initial_arrays(shapes, seed=1)
    assert caught.value.layer == "ip"


def test_a_written_blob_too_few_is_refused() -> None:
    _, shapes = shapes_of(
        INPUT + 'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"'
        " blobs { shape { dim: 1 dim: 6 dim: 1 dim: 1 } data: [1, 2, 3, 4, 5, 6] }"
        " convolution_param { num_output: 1 kernel_size: 1 } }"
    )
    with pytest.raises(NetError, match="do not fit"):
        initial_arrays(shapes, seed=1)


def test_an_unknown_filler_names_its_layer() -> None:
    _, shapes = shapes_of(NET.replace('"xavier"', '"xaver"'))
    with pytest.raises(NetError, match="did you mean 'xavier'") as caught:
        initial_arrays(shapes, seed=1)
    assert caught.value.layer == "conv"
