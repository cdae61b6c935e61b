"""Freezing up to a layer: what is frozen, and how it is written."""

from __future__ import annotations

import pytest

from caffeflow.errors import NetError
from caffeflow.proto.freezing import freeze, layers_up_to
from caffeflow.proto.graph import Graph, build_graph
from caffeflow.proto.net import filter_net, net_state
from tests.support.finetune_nets import GOOGLENET_LIKE, net_of

WITH_BN = """
layer { name: "data" type: "Input" top: "data" top: "label" }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "conv/bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "conv/scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param { num_output: 5 } }
"""
COUNTS = {"conv": 2, "conv/bn": 3, "conv/scale": 2, "fc": 2}


def graph_of(text: str) -> Graph:
    return build_graph(filter_net(net_of(text), net_state("TRAIN")))


def test_a_layer_and_all_it_is_computed_from_are_below() -> None:
    found = layers_up_to(graph_of(GOOGLENET_LIKE), "conv2")
    assert found == {"data", "conv1", "conv1/relu", "branch_a", "branch_a/relu", "branch_b", "branch_b/relu",
                     "mixed", "conv2"}  # fmt: skip


def test_an_auxiliary_head_that_stands_earlier_in_the_file_is_not_below() -> None:
    assert not any(name.startswith("loss1") for name in layers_up_to(graph_of(GOOGLENET_LIKE), "conv3"))


def test_every_blob_is_written_so_that_caffe_goes_back_no_further() -> None:
    net = net_of(WITH_BN)
    frozen = freeze(net, layers_up_to(graph_of(WITH_BN), "conv/scale"), COUNTS)
    assert frozen.layers == ("conv", "conv/bn", "conv/scale")
    assert frozen.batch_norms == ("conv/bn",)
    specs = {layer.name: [(spec.lr_mult, spec.decay_mult) for spec in layer.param] for layer in net.layer}
    assert specs == {
        "data": [], "conv": [(0, 0)] * 2, "conv/bn": [(0, 0)] * 3, "conv/scale": [(0, 0)] * 2, "fc": [],
    }  # fmt: skip


def test_statistics_can_be_kept() -> None:
    net = net_of(WITH_BN)
    frozen = freeze(net, {"conv", "conv/bn"}, COUNTS, keep_statistics=True)
    assert frozen.batch_norms == ()
    assert net.layer[2].batch_norm_param.use_global_stats


def test_an_unknown_layer_is_named_with_the_nearest() -> None:
    with pytest.raises(NetError, match=r"no layer 'branch_c' .*did you mean 'branch_"):
        layers_up_to(graph_of(GOOGLENET_LIKE), "branch_c")
