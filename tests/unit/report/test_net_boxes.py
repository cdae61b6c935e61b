from __future__ import annotations

from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import Phase, filter_net, net_state
from caffeflow.proto.text import parse
from caffeflow.report.net_boxes import NetBox, boxes_of

TIMES = "\N{MULTIPLICATION SIGN}"
INPUT = (
    'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 6 dim: 13 dim: 11 } } }'
)


def boxes(text: str, *, phase: Phase = "TEST", with_shapes: bool = True) -> dict[str, NetBox]:
    graph = build_graph(filter_net(parse(text, NetParameter(), source="net"), net_state(phase)))
    found = boxes_of(graph, infer(graph) if with_shapes else None)
    return {box.name: box for box in found}


def conv(name: str, bottom: str, settings: str) -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"'
        f" convolution_param {{ {settings} }} }}"
    )


def simple(name: str, type_: str, bottom: str, top: str) -> str:
    return f'layer {{ name: "{name}" type: "{type_}" bottom: "{bottom}" top: "{top}" }}'


def test_layers_in_place_share_the_box_of_their_convolution() -> None:
    text = INPUT + conv("conv", "data", "num_output: 5 kernel_size: 3 stride: 2")
    text += simple("bn", "BatchNorm", "conv", "conv") + simple("scale", "Scale", "conv", "conv")
    text += simple("relu", "ReLU", "conv", "conv")
    found = boxes(text)
    assert list(found) == ["data", "conv"]
    assert found["conv"].lines == (
        f"conv 3{TIMES}3, stride 2",
        "BatchNorm + Scale + ReLU",
        f"5{TIMES}6{TIMES}5",
    )
    assert found["conv"].kind == "conv"


def test_a_value_that_two_layers_read_ends_a_box() -> None:
    text = (
        INPUT + conv("conv", "data", "num_output: 6 kernel_size: 1") + simple("relu", "ReLU", "conv", "relu")
    )
    text += 'layer { name: "sum" type: "Eltwise" bottom: "conv" bottom: "relu" top: "sum" }'
    found = boxes(text)
    assert list(found) == ["data", "conv", "relu", "sum"]
    assert found["sum"].sources == (1, 2)
    assert (found["sum"].kind, found["sum"].lines[0]) == ("join", "sum")


def test_a_layer_after_the_input_has_a_box_of_its_own() -> None:
    assert list(boxes(INPUT + simple("scale", "Scale", "data", "scaled"))) == ["data", "scale"]


def test_convolutions_say_what_they_do() -> None:
    text = INPUT + conv("dw", "data", "num_output: 6 group: 6 kernel_h: 3 kernel_w: 2")
    text += conv("grouped", "dw", "num_output: 4 group: 2 kernel_size: 3 dilation: 2")
    found = boxes(text)
    assert (found["dw"].kind, found["dw"].lines[0]) == ("depthwise", f"depthwise 3{TIMES}2")
    assert found["grouped"].kind == "conv"
    assert found["grouped"].lines[0] == f"conv 3{TIMES}3, dilation 2, 2 groups"


def test_poolings_say_what_they_do() -> None:
    text = INPUT + (
        'layer { name: "p1" type: "Pooling" bottom: "data" top: "p1" pooling_param { kernel_size: 3 stride: 2 } }'
        'layer { name: "p2" type: "Pooling" bottom: "p1" top: "p2" pooling_param { pool: AVE global_pooling: true } }'
    )
    found = boxes(text)
    assert found["p1"].lines[0] == f"max pooling 3{TIMES}3, stride 2"
    assert found["p2"].lines[0] == "average pooling of the whole plane"


def test_labels_are_said_in_words() -> None:
    text = """
    layer { name: "data" type: "DummyData" top: "data" top: "label"
      dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
    layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 7 } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
    layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
    """
    found = boxes(text)
    assert found["loss"].sources == (1,)
    assert "reads label" in found["loss"].lines
    assert {found["loss"].kind, found["accuracy"].kind} == {"output"}
    assert "accuracy" not in boxes(text, phase="TRAIN")


def test_a_net_of_unknown_layers_has_boxes_without_shapes() -> None:
    text = INPUT + simple("odd", "PriorBox", "data", "odd") + simple("relu", "ReLU", "odd", "odd")
    found = boxes(text, with_shapes=False)
    assert found["odd"].lines == ("PriorBox", "ReLU")
    assert found["odd"].kind == "other"
