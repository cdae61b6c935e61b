from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from caffeflow.engine.net import Net
from caffeflow.engine.synthetic import synthetic_feeds
from caffeflow.engine.typical_input import typical_feeds
from caffeflow.errors import CheckError, NetError
from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.text import parse
from caffeflow.workflows.same_outputs import Difference, compare_nets, output_pairs, require_same

BODY = """
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 5
  weight_filler { type: "gaussian" std: 1 } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""
INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }'
LABELLED = """layer { name: "data" type: "DummyData" top: "x" top: "label" dummy_data_param {
  shape { dim: 2 dim: 3 } shape { dim: 2 } data_filler { type: "gaussian" } data_filler { } } }"""
SCORED = 'layer { name: "acc" type: "Accuracy" bottom: "prob" bottom: "label" top: "acc" }'


def net(text: str, seed: int | None = 1) -> Net:
    graph = build_graph(parse(text, NetParameter(), source="test"))
    return Net(graph, infer(graph), seed=seed)


def test_the_same_net_differs_by_nothing_and_what_softmax_hides_is_compared_too() -> None:
    one = net(INPUT + BODY)
    rows = compare_nets(one, one, [synthetic_feeds(one, seed=0)])
    assert [(row.blob, row.relative) for row in rows] == [("prob", 0), ("ip", 0)]
    assert rows[0].largest > 0.2


def test_a_difference_is_a_share_of_the_largest_value_over_all_batches() -> None:
    before, after = net(INPUT + BODY), net(INPUT + BODY)
    after.layers[1].tensors[1].data[3] += 0.5
    batches = [synthetic_feeds(before, seed=seed) for seed in (0, 1)]
    row = next(row for row in compare_nets(before, after, batches) if row.blob == "ip")
    largest = 0.0
    weight, bias = (tensor.detach().numpy().astype(float) for tensor in before.layers[1].tensors)
    for feeds in batches:
        x = feeds["x"][0].numpy().astype(float)
        largest = max(largest, np.abs(x @ weight.T + bias).max())
    assert row.worst == pytest.approx(0.5, rel=1e-6)
    assert row.largest == pytest.approx(largest, rel=1e-12)


def test_nets_are_in_single_precision_again_afterwards() -> None:
    one = net(INPUT + BODY)
    weight = one.layers[1].tensors[0].detach().numpy().copy()
    compare_nets(one, net(INPUT + BODY), [synthetic_feeds(one, seed=0)])
    again = one.layers[1].tensors[0].detach().numpy()
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, weight)


def test_a_net_with_labels_is_compared_with_one_without() -> None:
    before, after = net(LABELLED + BODY + SCORED), net(INPUT + BODY)
    rows = compare_nets(before, after, [synthetic_feeds(before, seed=0)], pairs=[("prob", "prob")])
    assert [row.relative for row in rows] == [0]


def test_jumping_outputs_are_compared_by_what_they_read() -> None:
    one = net(LABELLED + BODY + SCORED)
    assert output_pairs(one, one) == [("prob", "prob")]


def test_a_blob_that_the_other_net_needs_and_is_not_given() -> None:
    before, after = net(INPUT + BODY), net(LABELLED + BODY + SCORED)
    with pytest.raises(NetError, match="no input 'label'"):
        compare_nets(before, after, [synthetic_feeds(before, seed=0)], pairs=[("prob", "prob")])


def test_require_same_gives_the_worst_or_says_which_blob() -> None:
    good = Difference(blob="a", largest=10, worst=1e-5)
    better = replace(good, blob="b", worst=0)
    assert require_same([better, good], what="the folded net") is good
    with pytest.raises(CheckError, match=r"the folded net computes something else: blob 'c'.*0\.001 "):
        require_same([good, Difference(blob="c", largest=10, worst=1e-2)], what="the folded net")
    with pytest.raises(CheckError, match="nan or infinite"):
        require_same([good, Difference(blob="c", largest=math.nan, worst=math.nan)], what="the folded net")
    with pytest.raises(CheckError):
        require_same([Difference(blob="c", largest=0, worst=1)], what="the folded net")


NORMALISED = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 3 dim: 2 dim: 11 dim: 7 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv" convolution_param { num_output: 5 kernel_size: 3
  weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
"""


def test_input_is_as_large_as_the_first_batch_norm_has_seen() -> None:
    made = net(NORMALISED)
    conv, norm = made.layers[1], made.layers[2]
    plain = synthetic_feeds(made, seed=4)["x"][0]
    variance = conv.module(plain).detach().transpose(0, 1).flatten(1).var(dim=1)
    for tensor, value in zip(
        norm.tensors, (variance * 0, variance * 0.25 * 7, variance[:1] * 0 + 7), strict=True
    ):
        tensor.data.copy_(value)
    feeds = typical_feeds(made, seed=4)["x"][0]
    np.testing.assert_allclose(feeds.numpy(), plain.numpy() * 0.5, rtol=1e-5)
    norm.tensors[2].data.zero_()
    np.testing.assert_array_equal(typical_feeds(made, seed=4)["x"][0].numpy(), plain.numpy())
