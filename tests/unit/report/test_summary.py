from __future__ import annotations

import io
import json

from rich.console import Console

from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import parse
from caffeflow.report.summary import (
    NetSummary,
    compare_table,
    giga,
    layer_table,
    millions,
    summarize,
    to_json,
    totals_text,
)

TWO_LAYERS = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 7 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 11 kernel_h: 3 kernel_w: 2 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 13 bias_term: false } }
"""


def summary_of(text: str, name: str = "tiny") -> NetSummary:
    net = filter_net(parse(text, NetParameter(), source=name), net_state("TEST"))
    return summarize(name, "TEST", infer(build_graph(net)))


def printed(table: object) -> str:
    out = io.StringIO()
    Console(file=out, width=160).print(table)
    return out.getvalue()


def test_costs_are_for_one_item_of_the_batch() -> None:
    net = summary_of(TWO_LAYERS)
    conv, ip = net.layers[1], net.layers[3]
    assert conv.output == (2, 11, 5, 4)
    assert conv.parameters == 11 * 3 * 3 * 2 + 11
    assert conv.macs == 11 * 5 * 4 * (3 * 3 * 2)
    assert ip.parameters == ip.macs == 13 * (11 * 5 * 4)
    assert (net.batch, net.parameters, net.macs) == (2, 209 + 2860, 3960 + 2860)


def test_an_in_place_layer_takes_no_room_of_its_own() -> None:
    assert summary_of(TWO_LAYERS).activations == 3 * 7 * 5 + 11 * 5 * 4 + 13


def test_json_has_the_sums_and_every_layer() -> None:
    found = json.loads(json.dumps(to_json(summary_of(TWO_LAYERS))))
    assert found["parameters"] == 3069
    assert found["input"] == [2, 3, 7, 5]
    assert [(layer["name"], layer["output"]) for layer in found["layers"]] == [
        ("data", [2, 3, 7, 5]),
        ("conv", [2, 11, 5, 4]),
        ("relu", [2, 11, 5, 4]),
        ("ip", [2, 13]),
    ]


def test_the_table_shows_layers_and_sums() -> None:
    lines = printed(layer_table(summary_of(TWO_LAYERS))).splitlines()
    conv = next(line for line in lines if line.split()[:1] == ["conv"])
    assert conv.split() == ["conv", "Convolution", *["2", "x", "11", "x", "5", "x", "4"], "209", "3,960"]
    assert any(line.split()[-2:] == ["3,069", "6,820"] for line in lines)


def test_several_nets_have_a_row_each() -> None:
    text = printed(compare_table([summary_of(TWO_LAYERS, "one"), summary_of(TWO_LAYERS, "two")]))
    rows = [line.split() for line in text.splitlines() if line.split()[:1] in (["one"], ["two"])]
    assert [row[1:6] for row in rows] == [["3", "x", "7", "x", "5"]] * 2
    assert "3,069 parameters" in totals_text(summary_of(TWO_LAYERS))


def test_a_net_without_layers_has_a_summary() -> None:
    net = summary_of('name: "empty"')
    assert (net.parameters, net.macs, net.activations, net.batch) == (0, 0, 0, 1)
    assert "0 layers" in printed(layer_table(net))


def test_numbers_are_printed_as_papers_do() -> None:
    assert [giga(569_000_000), giga(2_293_000)] == ["0.569 G", "2.293 M"]
    assert [millions(4_231_976), millions(9_999)] == ["4.23 M", "9,999"]
