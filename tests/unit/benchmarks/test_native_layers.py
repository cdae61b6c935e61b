"""The tables of `caffe time` before and after: read from logs, grouped by what a layer is, held to goals."""

from __future__ import annotations

import pytest

from benchmarks.native_layers import DEPTHWISE, Times, by_size, by_type, read_times, table
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.text import parse

NET = parse(
    """
    layer { name: "data" type: "DummyData" top: "data" }
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 6 } }
    layer { name: "conv/dw" type: "Convolution" bottom: "conv" top: "conv/dw"
            convolution_param { num_output: 6 group: 6 stride: 2 } }
    layer { name: "conv/pairs" type: "Convolution" bottom: "conv/dw" top: "conv/pairs"
            convolution_param { num_output: 6 group: 3 } }
    """,
    NetParameter(),
    source="net",
)


def log(*, depthwise: float, whole: float) -> str:
    """What `caffe time` prints, each layer's forward taking half as long as its backward."""
    head = "I20261120 16:59:13.725751 17360"
    times = {"data": 0.0, "conv": 4.0, "conv/dw": depthwise, "conv/pairs": 2.0, "conv_conv_0_split": 0.5}
    lines = [
        f"{head} net.cpp:150] Setting up conv/dw",
        f"{head} net.cpp:157] Top shape: 2 6 7 11 (924)",
        *(f"{head} caffe.cpp:400] {name:>10}\tforward: {ms} ms." for name, ms in times.items()),
        *(f"{head} caffe.cpp:403] {name:>10}\tbackward: {2 * ms} ms." for name, ms in times.items()),
        f"{head} caffe.cpp:408] Average Forward pass: {whole} ms.",
        f"{head} caffe.cpp:410] Average Backward pass: {2 * whole} ms.",
        f"{head} caffe.cpp:412] Average Forward-Backward: {3 * whole} ms.",
    ]
    return "\n".join(lines)


BEFORE = read_times([log(depthwise=80.0, whole=100.0)])
AFTER = read_times([log(depthwise=10.0, whole=70.0)])


def test_times_are_medians_over_runs() -> None:
    measured = read_times([log(depthwise=ms, whole=1.0) for ms in (9.0, 1.0, 2.0)])
    assert measured.layers["conv/dw"] == Times(2.0, 4.0)
    assert measured.whole == Times(1.0, 2.0)


def test_layers_are_grouped_by_type_and_depthwise_ones_apart() -> None:
    rows = by_type(NET, BEFORE, AFTER)
    assert list(rows) == [DEPTHWISE, "Convolution", "Split", "DummyData", "whole net"]
    assert rows[DEPTHWISE] == (1, Times(80.0, 160.0), Times(10.0, 20.0))
    assert rows["Convolution"][:2] == (2, Times(6.0, 12.0))


def test_depthwise_layers_are_grouped_by_the_size_of_their_top() -> None:
    assert list(by_size(NET, BEFORE, AFTER)) == ["6 x 7 x 11, stride 2"]


def test_goals_are_judged_in_the_table() -> None:
    lines = table(by_type(NET, BEFORE, AFTER))
    assert lines[2].endswith("| 8.00 | ≥ 8: met |")
    assert lines[-1].endswith("| 1.43 | ≥ 1.45: **missed** |")
    assert {line.count("|") for line in lines} == {8}


def test_a_log_without_times_is_no_measurement() -> None:
    with pytest.raises(AssertionError, match="no times in"):
        read_times(["F1120 caffe.cpp:1] Check failed"])
