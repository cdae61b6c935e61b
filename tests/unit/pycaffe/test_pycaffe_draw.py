"""`caffe.draw`: labels, phases, and files of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format

from caffeflow.errors import UsageError
from caffeflow.proto.caffe_pb2 import TEST, TRAIN, LayerParameter, NetParameter
from caffeflow.pycaffe import draw

NET = """
name: "small \\"net\\""
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } data_param { batch_size: 64 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST } data_param { batch_size: 50 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 3 }
  convolution_param { num_output: 20 kernel_size: 5 pad: 2 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 10 } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" exclude { phase: TRAIN } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


@pytest.fixture
def net() -> NetParameter:
    return text_format.Parse(NET, NetParameter())


def test_labels_of_layers_and_edges(net: NetParameter) -> None:
    data, _, conv, relu, pool, inner = net.layer[:6]
    assert draw.get_layer_label(conv, "TB") == '"conv (Convolution) kernel size: 5 stride: 1 pad: 2"'
    assert draw.get_layer_label(pool, "LR") == r'"pool\n(Pooling AVE)\nkernel size: 3\nstride: 2\npad: 0"'
    assert draw.get_layer_label(conv, "BT", display_lrm=True).endswith(' pad: 2 lr mult: 3.0, 1.0"')
    labels = [draw.get_edge_label(layer) for layer in (data, conv, inner, relu)]
    assert labels == ["Batch 64", "20", "10", '""']


def test_multipliers_are_of_layers_that_learn(net: NetParameter) -> None:
    assert draw.get_layer_lr_mult(net.layer[2]) == (3.0, 1.0)
    assert draw.get_layer_lr_mult(net.layer[5]) == (1.0, 1.0)
    with pytest.raises(ValueError, match="'relu': ReLU has no weights"):
        draw.get_layer_lr_mult(net.layer[3])
    net.layer[2].param.add()
    net.layer[2].param.add()
    with pytest.raises(ValueError, match="'conv' has 3"):
        draw.get_layer_lr_mult(net.layer[2])


def test_text_has_a_node_for_each_layer_and_blob(net: NetParameter) -> None:
    lines = draw.get_pydot_graph(net, "BT", phase=TRAIN).to_string().splitlines()
    assert lines[:2] == [r'digraph "small \"net\"" {', "  rankdir=BT;"]
    assert '  "conv_blob" -> "relu_ReLU";' in lines
    assert '  "conv_Convolution" -> "conv_blob" [label="20"];' in lines
    assert '  "data_Data" -> "label_blob" [label="Batch 64"];' in lines
    assert sum("shape=record" in line for line in lines) == 6
    assert sum("shape=octagon" in line for line in lines) == 6
    assert not any("accuracy" in line for line in lines)


@pytest.mark.parametrize(("phase", "drawn"), [(None, 8), (TRAIN, 6), (TEST, 7)])
def test_phase_chooses_the_layers(net: NetParameter, phase: int | None, drawn: int) -> None:
    assert len(draw.get_pydot_graph(net, "LR", phase=phase).layers) == drawn


def test_include_and_exclude_at_once_are_refused(net: NetParameter) -> None:
    net.layer[0].exclude.add(phase=TEST)
    with pytest.raises(ValueError, match="'data' has rules of both kinds"):
        draw.draw_net(net, "LR", "svg", phase=TRAIN)


@pytest.mark.parametrize("phase", [None, TEST])
@pytest.mark.parametrize(
    ("ending", "begin"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("raw", b"digraph"), ("dot", b"digraph")]
)
def test_files_are_what_their_endings_say(
    net: NetParameter, tmp_path: Path, ending: str, begin: bytes, phase: int | None
) -> None:
    draw.draw_net_to_file(net, str(tmp_path / f"net.{ending}"), phase=phase)
    content = (tmp_path / f"net.{ending}").read_bytes()
    assert content.startswith(begin)
    if ending == "svg":
        assert b">accuracy<" in content
        assert b"kernel size: 5" in content


def test_other_endings_are_refused(net: NetParameter, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.png.*'\.pdf' is none"):
        draw.draw_net_to_file(net, str(tmp_path / "net.pdf"))
    assert list(tmp_path.iterdir()) == []


def test_old_nets_are_drawn(tmp_path: Path) -> None:
    old = text_format.Parse(
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 5 input_dim: 7\n'
        'layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv"'
        " convolution_param { num_output: 5 kernel_size: 3 } }",
        NetParameter(),
    )
    kept = NetParameter()
    kept.CopyFrom(old)
    assert "conv_Convolution" in draw.get_pydot_graph(old, "LR").to_string()
    assert old == kept


def test_colours_by_type() -> None:
    assert draw.choose_color_by_layertype("Deconvolution") == draw.choose_color_by_layertype("Convolution")
    assert (
        len(
            {draw.choose_color_by_layertype(kind) for kind in ("Convolution", "Pooling", "InnerProduct", "x")}
        )
        == 4
    )
    assert draw.get_pooling_types_dict()[LayerParameter().pooling_param.pool] == "MAX"
