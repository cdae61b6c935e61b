"""Which layer is the classifier, and what of the net changes when it begins anew."""

from __future__ import annotations

import pytest

from caffeflow.errors import NetError
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.classifier import (
    NewLayer,
    begin_anew,
    check_layers,
    drop_idle_accuracies,
    find_classifiers,
)
from caffeflow.proto.graph import Graph, build_graph
from caffeflow.proto.net import filter_net, net_state
from tests.support.finetune_nets import GOOGLENET_LIKE, HEADS, V1_NET, net_of

NEW = NewLayer(name="birds", num_output=7)
INPUT = 'layer { name: "data" type: "Input" top: "data" top: "label" }\n'


def graph_of(net: NetParameter) -> Graph:
    return build_graph(filter_net(net, net_state("TRAIN")))


def product(name: str, bottom: str, top: str = "", more: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{top or name}" {more}'
        " inner_product_param { num_output: 1000 } }\n"
    )


def loss(bottom: str, label: str = "label", name: str = "loss") -> str:
    return f'layer {{ name: "{name}" type: "SoftmaxWithLoss" bottom: "{bottom}" bottom: "{label}" top: "{name}" }}\n'


def test_all_three_classifiers_of_a_googlenet_are_found_and_renamed_with_their_readers() -> None:
    net = net_of(GOOGLENET_LIKE)
    assert find_classifiers(graph_of(net)) == HEADS
    before = net.SerializeToString()
    renamed = begin_anew(net, HEADS, NEW)
    assert renamed == {name: f"{name}_birds" for name in HEADS}
    layers = {layer.name: layer for layer in net.layer if layer.type not in ("Data",)}
    for number, old in enumerate(HEADS, start=1):
        new = f"{old}_birds"
        assert (layers[new].bottom[:], layers[new].top[:]) == ([f"loss{number}/fc"], [new])
        for reader in ("loss", "top-1", "top-5"):
            assert layers[f"loss{number}/{reader}"].bottom[:] == [new, "label"]
    left = {blob for layer in net.layer for blob in (*layer.bottom, *layer.top)}
    assert left.isdisjoint(HEADS)
    untouched = net_of(GOOGLENET_LIKE)
    assert untouched.SerializeToString() == before
    changed = {layer.name for layer, old in zip(net.layer, untouched.layer, strict=True) if layer != old}
    assert changed == {f"{name}_birds" for name in HEADS} | {
        f"loss{number}/{reader}" for number in (1, 2, 3) for reader in ("loss", "top-1", "top-5")
    }
    graph_of(net)  # it is still a net


def test_a_new_layer_begins_as_the_tutorial_says() -> None:
    net = net_of(V1_NET)
    begin_anew(net, find_classifiers(graph_of(net)), NEW)
    (layer,) = (each for each in net.layer if each.name == "fc8_birds")
    assert [(spec.lr_mult, spec.decay_mult) for spec in layer.param] == [(10, 1), (20, 0)]
    settings = layer.inner_product_param
    assert settings.num_output == 7
    assert settings.weight_filler.type == "gaussian"
    assert settings.weight_filler.std == pytest.approx(0.01)
    assert (settings.bias_filler.type, settings.bias_filler.value) == ("constant", 0)


def test_a_convolution_without_bias_gets_one_multiplier() -> None:
    net = net_of(
        INPUT
        + 'layer { name: "conv10" type: "Convolution" bottom: "data" top: "conv10" param { lr_mult: 1 }'
        + " convolution_param { num_output: 1000 kernel_size: 1 bias_term: false } }"
        + 'layer { name: "relu" type: "ReLU" bottom: "conv10" top: "conv10" }'
        + 'layer { name: "pool" type: "Pooling" bottom: "conv10" top: "pool" pooling_param { global_pooling: true } }'
        + loss("pool")
    )
    assert find_classifiers(graph_of(net)) == ("conv10",)
    begin_anew(net, ["conv10"], NewLayer(name="x", num_output=3, lr_mult=4))
    (conv, relu, pool) = net.layer[1:4]
    assert [(spec.lr_mult, spec.decay_mult) for spec in conv.param] == [(4, 1)]
    assert not conv.convolution_param.HasField("bias_filler")
    # what works in place on the scores goes along, under its own name
    assert (relu.name, relu.bottom[:], relu.top[:]) == ("relu", ["conv10_x"], ["conv10_x"])
    assert (pool.bottom[:], pool.top[:]) == (["conv10_x"], ["pool"])


def test_a_top_with_a_name_of_its_own_is_renamed_too() -> None:
    net = net_of(INPUT + product("fc8", "data", top="scores") + loss("scores"))
    begin_anew(net, ["fc8"], NEW)
    assert (net.layer[1].name, net.layer[1].top[:]) == ("fc8_birds", ["scores_birds"])
    assert net.layer[2].bottom[:] == ["scores_birds", "label"]


def test_two_layers_that_make_the_scores_together_are_two_candidates() -> None:
    net = net_of(
        INPUT + product("a", "data") + product("b", "data")
        + 'layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }' + loss("sum")
    )  # fmt: skip
    with pytest.raises(NetError, match=r"'b' \(1000 outputs\).*'a' \(1000 outputs\).*--layer NAME"):
        find_classifiers(graph_of(net))


def test_losses_of_two_labels_are_two_candidates() -> None:
    text = 'layer { name: "data" type: "Input" top: "data" top: "age" top: "kind" }\n'
    net = net_of(
        text + product("a", "data") + product("b", "data") + loss("a", "age") + loss("b", "kind", "loss2")
    )
    with pytest.raises(NetError, match=r"2 layers could be the classifier"):
        find_classifiers(graph_of(net))


def test_a_layer_that_learns_behind_the_classifier_is_named() -> None:
    net = net_of(
        INPUT + product("fc8", "data")
        + 'layer { name: "fc8/scale" type: "Scale" bottom: "fc8" top: "fc8" }' + loss("fc8")
    )  # fmt: skip
    with pytest.raises(NetError, match=r"'fc8/scale'.*not the last layer.*--layer"):
        find_classifiers(graph_of(net))
    check_layers(net, ["fc8", "fc8/scale"])
    assert begin_anew(net, ["fc8", "fc8/scale"], NEW) == {"fc8": "fc8_birds", "fc8/scale": "fc8/scale_birds"}
    assert (net.layer[2].bottom[:], net.layer[2].top[:]) == (["fc8_birds"], ["fc8_birds"])


def test_a_net_without_loss_asks_for_the_layer() -> None:
    with pytest.raises(NetError, match=r"no loss layer.*--layer NAME"):
        find_classifiers(graph_of(net_of(INPUT + product("fc8", "data"))))


def test_layers_named_by_the_user_must_be_there_and_learn() -> None:
    net = net_of(GOOGLENET_LIKE)
    with pytest.raises(NetError, match=r"no layer 'loss3/clasifier'.*did you mean 'loss3/classifier'"):
        check_layers(net, ["loss3/clasifier"])
    with pytest.raises(NetError, match=r"'mixed'.*Concat.*learns nothing"):
        check_layers(net, ["mixed"])


def test_a_name_that_is_taken_is_refused() -> None:
    net = net_of(INPUT + product("fc8", "data") + product("fc8_birds", "fc8") + loss("fc8_birds"))
    with pytest.raises(NetError, match=r"'fc8_birds' is there already; choose another --name"):
        begin_anew(net, ["fc8"], NEW)


def test_blobs_shared_by_name_are_shared_no_more() -> None:
    net = net_of(INPUT + product("fc8", "data", more='param { name: "w" } param { name: "b" }') + loss("fc8"))
    begin_anew(net, ["fc8"], NEW)
    assert [spec.name for spec in net.layer[1].param] == ["w_birds", "b_birds"]


@pytest.mark.parametrize(("classes", "left"), [(5, False), (6, True)])
def test_accuracies_among_all_classes_are_left_out(classes: int, left: bool) -> None:
    net = net_of(GOOGLENET_LIKE)
    dropped = drop_idle_accuracies(net, classes)
    assert dropped == ([] if left else [f"loss{number}/top-5" for number in (1, 2, 3)])
    assert sum(layer.type == "Accuracy" for layer in net.layer) == (6 if left else 3)
