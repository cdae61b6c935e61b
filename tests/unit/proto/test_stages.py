"""The deploy form of a train_val form, and back."""

from __future__ import annotations

import pytest

from caffeflow.errors import NetError
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.stages import body_of, deploy_body_of, find_entry, input_size_of, with_data
from tests.support.finetune_nets import GOOGLENET_LIKE, net_of

DEPLOY = """
name: "mine"
input: "picture" input_dim: 10 input_dim: 3 input_dim: 11 input_dim: 13
layer { name: "conv" type: "Convolution" bottom: "picture" top: "conv" convolution_param { num_output: 5 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc8" type: "InnerProduct" bottom: "conv" top: "fc8" inner_product_param { num_output: 17 } }
layer { name: "prob" type: "Softmax" bottom: "fc8" top: "prob" }
"""
INPUT = LayerParameter(name="data", type="Input", top=["data"])
DATA = [LayerParameter(name="data", type="Data", top=["data", "label"])]


def names(layers) -> list[str]:
    return [layer.name for layer in layers]


def test_the_deploy_form_keeps_the_last_loss_and_drops_the_branches_of_the_others() -> None:
    net = net_of(GOOGLENET_LIKE)
    entry = find_entry(net)
    assert (entry.images, entry.label, len(entry.layers), entry.is_deploy) == ("data", "label", 2, False)
    deploy = with_data(deploy_body_of(body_of(net, entry), entry), entry, [INPUT])
    assert names(deploy.layer) == [
        "data", "conv1", "conv1/relu", "branch_a", "branch_a/relu", "branch_b", "branch_b/relu", "mixed",
        "conv2", "conv2/relu", "conv3", "conv3/relu", "loss3/fc", "loss3/relu_fc", "loss3/drop_fc",
        "loss3/classifier", "prob",
    ]  # fmt: skip
    assert (deploy.layer[-1].type, deploy.layer[-1].bottom[:]) == ("Softmax", ["loss3/classifier"])
    graph = build_graph(filter_net(deploy, net_state("TEST")))
    assert [value.blob for value in graph.outputs] == ["prob"]


def test_a_softmax_of_the_test_phase_is_kept_and_loses_its_rule() -> None:
    text = GOOGLENET_LIKE + (
        'layer { name: "probability" type: "Softmax" bottom: "loss3/classifier" top: "probability"'
        " include { phase: TEST } }"
    )
    net = net_of(text)
    entry = find_entry(net)
    last = deploy_body_of(body_of(net, entry), entry).layer[-1]
    assert last.name == "probability"
    assert not last.include


def test_outputs_of_the_users_own_stay() -> None:
    text = GOOGLENET_LIKE + 'layer { name: "extra" type: "TanH" bottom: "conv1" top: "extra" }'
    net = net_of(text)
    entry = find_entry(net)
    assert "extra" in names(deploy_body_of(body_of(net, entry), entry).layer)


def test_a_deploy_form_gets_accuracy_and_loss_for_its_softmax() -> None:
    net = net_of(DEPLOY)
    entry = find_entry(net)
    assert (entry.images, entry.is_deploy, input_size_of(entry)) == ("picture", True, (3, 11, 13))
    made = with_data(body_of(net, entry), entry, DATA)
    assert names(made.layer) == ["data", "conv", "relu", "fc8", "accuracy", "loss"]
    assert made.layer[0].top[:] == ["picture", "label"]
    assert made.layer[-1].bottom[:] == ["fc8", "label"]
    again = deploy_body_of(body_of(made, find_entry(made)), find_entry(made))
    assert names(again.layer) == ["conv", "relu", "fc8", "prob"]


@pytest.mark.parametrize(
    ("loss", "scores"),
    [("InfogainLoss", "Softmax"), ("SigmoidCrossEntropyLoss", "Sigmoid"), ("HingeLoss", None)],
)
def test_a_loss_becomes_what_it_holds_inside(loss: str, scores: str | None) -> None:
    net = net_of(GOOGLENET_LIKE.replace("SoftmaxWithLoss", loss))
    entry = find_entry(net)
    last = deploy_body_of(body_of(net, entry), entry).layer[-1]
    if scores is None:
        assert last.name == "loss3/classifier"
    else:
        assert (last.type, last.bottom[:]) == (scores, ["loss3/classifier"])


def test_a_deploy_form_of_two_outputs_is_refused() -> None:
    net = net_of(DEPLOY + 'layer { name: "t" type: "TanH" bottom: "conv" top: "t" }')
    with pytest.raises(NetError, match=r"one output.*'prob', 't'"):
        body_of(net, find_entry(net))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ('layer { name: "c" type: "ReLU" bottom: "x" top: "y" }', "no data layer and no Input"),
        ('layer { name: "d" type: "Data" top: "data" }', "'d'.*brings no labels"),
        (
            'layer { name: "d" type: "Data" top: "a" top: "l" } layer { name: "e" type: "Data" top: "b" top: "m" }',
            "more than one place: 'd'.*'e'",
        ),
    ],
)
def test_images_must_come_in_at_one_place(layers: str, words: str) -> None:
    with pytest.raises(NetError, match=words):
        find_entry(net_of(layers))
