"""From a net as it was tested to one that is deployed, on messages alone."""

from __future__ import annotations

import pytest

from caffeflow.errors import NetError
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import parse
from caffeflow.workflows.deploy_names import misnamed, with_plain_names
from caffeflow.workflows.deploy_net import deploy_net, find_record_layer, losses_of

DATA = 'layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "x" batch_size: 2 } }'


def conv(name: str, bottom: str, top: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{top or name}"'
        ' param { lr_mult: 1 } convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "msra" } } }'
    )


def loss(name: str, scores: str, *, weight: float = 1, kind: str = "SoftmaxWithLoss") -> str:
    return (
        f'layer {{ name: "{name}" type: "{kind}" bottom: "{scores}" bottom: "label" top: "{name}"'
        f" loss_weight: {weight} }}"
    )


def net_of(*layers: str, phase: str = "TEST") -> NetParameter:
    net = parse("\n".join(layers), NetParameter(), source="a test")
    return filter_net(net, net_state(phase))


def layers_of(net: NetParameter) -> list[str]:
    return [f"{layer.name}: {' '.join(layer.bottom)} -> {' '.join(layer.top)}" for layer in net.layer]


def derived(*layers: str) -> list[str]:
    return layers_of(deploy_net(net_of(*layers), shape=(3, 5, 7)).net)


def test_data_becomes_an_input_and_the_loss_its_softmax() -> None:
    made = deploy_net(net_of(DATA, conv("a", "data"), loss("loss", "a")), shape=(3, 5, 7))
    assert layers_of(made.net) == ["data:  -> data", "a: data -> a", "prob: a -> prob"]
    assert list(made.net.layer[0].input_param.shape[0].dim) == [1, 3, 5, 7]
    assert [layer.type for layer in made.net.layer] == ["Input", "Convolution", "Softmax"]
    assert made.left_out == ("loss (SoftmaxWithLoss)",)
    assert not made.net.layer[1].param
    assert not made.net.layer[1].convolution_param.HasField("weight_filler")


def test_a_softmax_that_is_there_is_not_made_twice() -> None:
    softmax = 'layer { name: "likely" type: "Softmax" bottom: "a" top: "likely" }'
    assert derived(DATA, conv("a", "data"), softmax, loss("loss", "a"))[2:] == ["likely: a -> likely"]


def test_other_losses_and_a_softmax_along_another_axis() -> None:
    assert derived(DATA, conv("a", "data"), loss("loss", "a", kind="SigmoidCrossEntropyLoss"))[2:] == [
        "prob: a -> prob"
    ]
    assert derived(DATA, conv("a", "data"), loss("loss", "a", kind="EuclideanLoss")) == [
        "data:  -> data",
        "a: data -> a",
    ]
    with_axis = loss("loss", "a").replace("loss_weight: 1", "softmax_param { axis: 2 }")
    made = deploy_net(net_of(DATA, conv("a", "data"), with_axis), shape=(3, 5, 7)).net
    assert made.layer[-1].softmax_param.axis == 2
    settings = 'infogain_loss_param { source: "h.binaryproto" axis: 3 }'
    infogain = loss("loss", "a", kind="InfogainLoss").replace("loss_weight: 1", settings)
    made = deploy_net(net_of(DATA, conv("a", "data"), infogain), shape=(3, 5, 7)).net
    assert (made.layer[-1].type, made.layer[-1].softmax_param.axis) == ("Softmax", 3)


def test_branches_that_only_help_training_go() -> None:
    nets = derived(
        DATA,
        conv("a", "data"),
        conv("help", "a"),
        loss("loss1", "help", weight=0.3),
        conv("main", "a"),
        loss("loss2", "main"),
        'layer { name: "right" type: "Accuracy" bottom: "help" bottom: "label" top: "right" }',
    )
    assert nets == ["data:  -> data", "a: data -> a", "main: a -> main", "prob: main -> prob"]


def test_several_tasks_stay() -> None:
    nets = derived(DATA, conv("a", "data"), conv("b", "data"), loss("loss1", "a"), loss("loss2", "b"))
    assert nets[3:] == ["a_prob: a -> a_prob", "b_prob: b -> b_prob"]


def test_dropout_beside_its_bottom_is_bridged() -> None:
    drop = 'layer { name: "drop" type: "Dropout" bottom: "a" top: "dropped" }'
    relu = 'layer { name: "relu" type: "ReLU" bottom: "dropped" top: "dropped" }'
    nets = derived(DATA, conv("a", "data"), drop, relu, conv("b", "dropped"), loss("loss", "b"))
    assert nets[1:] == ["a: data -> a", "relu: a -> dropped", "b: dropped -> b", "prob: b -> prob"]


def test_what_depends_on_labels_goes_and_what_it_looked_at_is_an_output() -> None:
    cut = (
        'layer { name: "cut" type: "Slice" bottom: "label" top: "l1" top: "l2"'
        " slice_param { axis: 1 slice_point: 1 } }"
    )
    judge = 'layer { name: "judge" type: "Eltwise" bottom: "a" bottom: "l1" top: "judged" }'
    assert derived(DATA, conv("a", "data"), cut, judge) == ["data:  -> data", "a: data -> a"]


def test_silence_goes_with_labels_and_stays_over_tops_that_nothing_else_reads() -> None:
    parts = 'layer { name: "parts" type: "Slice" bottom: "a" top: "left" top: "rest" slice_param { slice_point: 1 } }'
    quiet = 'layer { name: "quiet" type: "Silence" bottom: "left" bottom: "label" }'
    made = deploy_net(
        net_of(DATA, conv("a", "data"), parts, quiet, loss("loss", "rest")), shape=(3, 5, 7)
    ).net
    assert layers_of(made)[-1] == "silence: left -> "
    assert [value.blob for value in build_graph(made).outputs] == ["prob"]


def test_a_net_tested_without_loss_takes_that_of_training() -> None:
    text = (
        DATA,
        conv("a", "data"),
        'layer { name: "right" type: "Accuracy" bottom: "a" bottom: "label" top: "right" include { phase: TEST } }',
        loss("loss", "a").replace("loss_weight: 1", "include { phase: TRAIN }"),
    )
    losses = losses_of(net_of(*text, phase="TRAIN"))
    made = deploy_net(net_of(*text), shape=(3, 5, 7), train_losses=losses).net
    assert layers_of(made)[1:] == ["a: data -> a", "prob: a -> prob"]


def test_shared_weights_keep_their_names() -> None:
    shared = conv("a", "data").replace("lr_mult: 1", 'name: "w" lr_mult: 2')
    made = deploy_net(net_of(DATA, shared, loss("loss", "a")), shape=(3, 5, 7)).net
    assert [(param.name, param.HasField("lr_mult")) for param in made.layer[1].param] == [("w", False)]


def test_what_cannot_be_deployed_is_said() -> None:
    second = DATA.replace('"data"', '"more"').replace('"label"', '"l"')
    with pytest.raises(NetError, match="has 2 data layers, 'data' and 'more'"):
        find_record_layer(net_of(DATA, second))
    with pytest.raises(NetError, match="nothing to deploy"):
        deploy_net(net_of(DATA), shape=(3, 5, 7))
    with pytest.raises(NetError, match="--record CxHxW"):
        deploy_net(net_of(DATA, conv("a", "data"), loss("loss", "a")), shape=None)


def test_tops_are_called_as_their_layers_throughout() -> None:
    relu = 'layer { name: "relu" type: "ReLU" bottom: "x" top: "x" }'
    net = net_of(INPUT, conv("a", "image", "x"), relu, conv("x", "x", "y"), conv("z", "y"))
    made = with_plain_names(net, learned={"a", "x", "z"})
    assert layers_of(made) == ["image:  -> image", "a: image -> a", "relu: a -> a", "x: a -> x", "z: x -> z"]
    assert misnamed(net) == ["in", "a", "x"]
    assert misnamed(made) == []


def test_a_top_among_several_makes_room() -> None:
    cut = 'layer { name: "cut" type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_point: 1 } }'
    made = with_plain_names(
        net_of(INPUT, conv("a", "image", "x"), cut, conv("c", "a"), conv("d", "b")), learned=()
    )
    assert layers_of(made)[1:] == ["a: image -> a", "cut: a -> cut/a b", "c: cut/a -> c", "d: b -> d"]


def test_layers_of_one_name_are_told_apart_unless_they_learn() -> None:
    pool = 'layer { name: "pool" type: "Softmax" bottom: "%s" top: "%s" }'
    net = net_of(INPUT, pool % ("image", "p"), pool % ("p", "q"))
    assert layers_of(with_plain_names(net, learned=()))[1:] == [
        "pool: image -> pool",
        "pool_2: pool -> pool_2",
    ]
    with pytest.raises(NetError, match="two layers have this name"):
        with_plain_names(net_of(INPUT, conv("a", "image", "p"), conv("a", "p", "q")), learned={"a"})


INPUT = (
    'layer { name: "in" type: "Input" top: "image" input_param { shape { dim: 1 dim: 3 dim: 5 dim: 7 } } }'
)
