from __future__ import annotations

from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.splits import insert_splits
from caffeflow.proto.text import parse

NET = """
layer { name: "in" type: "DummyData" top: "x" top: "label" }
layer { name: "one" type: "InnerProduct" bottom: "x" top: "y" }
layer { name: "act" type: "ReLU" bottom: "y" top: "y" }
layer { name: "two" type: "InnerProduct" bottom: "y" top: "z" loss_weight: 0.5 }
layer { name: "three" type: "Eltwise" bottom: "y" bottom: "y" top: "sum" }
layer { name: "loss" type: "EuclideanLoss" bottom: "z" bottom: "sum" top: "loss" }
layer { name: "again" type: "Silence" bottom: "loss" bottom: "x" }
"""


def linked(text: str, *, only_of_losses: bool = False) -> list[tuple[str, list[str], list[str], list[float]]]:
    """Returns name, bottoms, tops and loss weights of each layer behind Caffe's splits."""
    net = insert_splits(parse(text, NetParameter(), source="<net>"), only_of_losses=only_of_losses)
    return [(layer.name, list(layer.bottom), list(layer.top), list(layer.loss_weight)) for layer in net.layer]


def test_what_several_layers_read_is_split_right_after_its_maker() -> None:
    x, y, z = "x_in_0_split", "y_act_0_split", "z_two_0_split"
    assert linked(NET) == [
        ("in", [], ["x", "label"], []),
        (x, ["x"], [f"{x}_0", f"{x}_1"], []),
        ("one", [f"{x}_0"], ["y"], []),
        ("act", ["y"], ["y"], []),
        (y, ["y"], [f"{y}_0", f"{y}_1", f"{y}_2"], []),
        ("two", [f"{y}_0"], ["z"], []),
        (z, ["z"], [f"{z}_0", f"{z}_1"], [0.5, 0.0]),  # the first top is for the loss
        ("three", [f"{y}_1", f"{y}_2"], ["sum"], []),
        ("loss", [f"{z}_1", "sum"], ["loss"], []),  # a weight by default is no second use
        ("again", ["loss", f"{x}_1"], [], []),
    ]


def test_a_net_with_splits_needs_no_more() -> None:
    split = insert_splits(parse(NET, NetParameter(), source="<net>"))
    assert insert_splits(split) == split


def test_weights_of_a_makers_other_tops_go_too_as_in_caffe() -> None:
    text = """
    layer { name: "in" type: "DummyData" top: "x" top: "y" loss_weight: 2 loss_weight: 3 }
    layer { name: "out" type: "Silence" bottom: "x" }
    """
    assert linked(text)[0] == ("in", [], ["x", "y"], [])
    assert linked(text)[1][3] == [2.0, 0.0]


def test_a_loss_that_is_read_can_be_split_alone() -> None:
    names = [name for name, *_ in linked(NET, only_of_losses=True)]
    assert names == ["in", "one", "act", "two", "z_two_0_split", "three", "loss", "again"]
