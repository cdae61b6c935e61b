from __future__ import annotations

import pytest
import torch

from caffeflow.engine.net import Net
from caffeflow.engine.synthetic import synthetic_feeds
from caffeflow.engine.timing import learns, neutral_statistics, time_fused, time_layers
from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import Phase, filter_net, net_state
from caffeflow.proto.text import parse

NET = """
layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "nowhere" batch_size: 5 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 7 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "msra" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" include { phase: TRAIN } }
"""


def net_of(phase: Phase, text: str = NET) -> Net:
    graph = build_graph(filter_net(parse(text, NetParameter(), source="net"), net_state(phase)))
    return Net(graph, infer(graph, record_shape=lambda _: (3, 13, 11)))


def test_layers_of_a_train_net_have_both_times() -> None:
    net = net_of("TRAIN")
    passes, layers = time_layers(net, synthetic_feeds(net, seed=1), iterations=3)
    assert [layer.name for layer in layers] == ["data", "conv", "bn", "ip", "loss"]
    assert all(layer.forward > 0 and layer.backward > 0 for layer in layers[1:])
    assert (layers[0].forward, layers[0].backward) == (0, 0)
    assert passes.forward_backward is not None
    assert passes.forward_backward > passes.forward > 0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_fused_pass_has_both_times_in_both_precisions(precision: str) -> None:
    net = net_of("TRAIN")
    passes = time_fused(net, synthetic_feeds(net, seed=1), precision=precision, iterations=2)  # type: ignore[arg-type]
    assert passes.forward_backward is not None
    assert passes.forward_backward > passes.forward > 0


def test_a_test_net_goes_forward_only() -> None:
    net = net_of("TEST")
    assert not learns(net)
    passes, layers = time_layers(net, synthetic_feeds(net, seed=1), iterations=2)
    assert passes.forward_backward is None
    assert all(layer.backward == 0 for layer in layers)
    assert (
        time_fused(net, synthetic_feeds(net, seed=1), precision="fp32", iterations=2).forward_backward is None
    )


def test_a_train_net_without_a_loss_goes_forward_only() -> None:
    net = net_of("TRAIN", NET.replace("phase: TRAIN", "phase: TEST"))
    assert not learns(net)
    assert (
        time_fused(net, synthetic_feeds(net, seed=1), precision="fp32", iterations=1).forward_backward is None
    )


def test_only_untrained_statistics_are_replaced() -> None:
    net = net_of("TEST")
    norm = net.layers[2].module
    neutral_statistics(net)
    mean, variance, factor = norm.learned
    assert (mean == 0).all()
    assert (variance == 1).all()
    assert (factor == 1).all()
    with torch.no_grad():
        variance.fill_(7)
    neutral_statistics(net)
    assert (variance == 7).all()
