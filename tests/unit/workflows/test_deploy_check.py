"""What is compared with what, and what counts as the same."""

from __future__ import annotations

import numpy as np
import pytest

from caffeflow.errors import CheckError, NetError
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import Graph, build_graph
from caffeflow.proto.text import parse
from caffeflow.workflows.deploy_check import compare, difference, partners, probes_of

INPUT = 'layer { name: "data" type: "Input" top: "data" top: "label" }'
PRODUCT = 'layer { name: "%s" type: "InnerProduct" bottom: "data" top: "%s" }'
SOFTMAX = 'layer { name: "prob" type: "Softmax" bottom: "%s" top: "prob" }'
LOSS = 'layer { name: "%s" type: "SoftmaxWithLoss" bottom: "%s" bottom: "label" top: "%s" }'


def graph(*layers: str) -> Graph:
    return build_graph(parse(INPUT + "".join(layers), NetParameter(), source="a test"))


def test_scores_are_compared_before_the_softmax_and_boxes_before_they_are_chosen() -> None:
    assert probes_of(graph(PRODUCT % ("a", "a"), SOFTMAX % "a")) == ["a"]
    assert probes_of(graph(PRODUCT % ("a", "a"), PRODUCT % ("b", "b"), SOFTMAX % "a")) == ["b", "a"]
    boxes = (
        'layer { name: "boxes" type: "DetectionOutput" bottom: "a" bottom: "b" bottom: "data" top: "boxes" }'
    )
    assert probes_of(graph(PRODUCT % ("a", "a"), PRODUCT % ("b", "b"), boxes)) == ["a", "b", "data"]


def test_partners_have_one_name_or_are_the_only_scores() -> None:
    tested = graph(PRODUCT % ("a", "a"), LOSS % ("loss", "a", "loss"))
    assert partners(tested, graph(PRODUCT % ("a", "a"), SOFTMAX % "a")) == [("a", "a")]
    assert partners(tested, graph(PRODUCT % ("a", "z"), SOFTMAX % "z")) == [("a", "z")]
    two = graph(
        PRODUCT % ("a", "a"), PRODUCT % ("b", "b"), LOSS % ("l1", "a", "l1"), LOSS % ("l2", "b", "l2")
    )
    with pytest.raises(NetError, match="blob 'z' is none of the tested net"):
        partners(two, graph(PRODUCT % ("a", "z"), SOFTMAX % "z"))


def test_differences_are_shares_of_the_largest_value() -> None:
    one, other = np.array([1.0, -200.0], np.float32), np.array([1.5, -200.0], np.float32)
    assert difference(one, other) == pytest.approx(0.5 / 200)
    assert difference(one[:0], other[:0]) == 0
    assert np.isnan(difference(np.array([np.nan], np.float32), np.array([1.0], np.float32)))


@pytest.mark.parametrize("values", [[1.0, 2.001], [1.0, np.nan], [1.0, 2.0, 3.0]])
def test_what_differs_stops_the_work(values: list[float]) -> None:
    right = np.array([1.0, 2.0], np.float32)
    assert compare("a net", [right], [right + 1e-5], ["blob"])[0].worst == pytest.approx(5e-6, rel=0.1)
    with pytest.raises(CheckError, match=r"blob 'blob'.*nothing was written"):
        compare("a net", [right], [np.array(values, np.float32)], ["blob"])
