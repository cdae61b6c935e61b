"""Nets written in Python: names of layers and tops, settings, and what is refused."""

# ruff: noqa: C408 - dict(…) is how nets are written so

from __future__ import annotations

import copy

import numpy as np
import pytest
from google.protobuf import text_format

from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter, PoolingParameter
from caffeflow.proto.own_settings import OWN_SETTINGS
from caffeflow.pycaffe.net_spec import NetSpec, to_proto
from caffeflow.pycaffe.net_spec import layers as L
from caffeflow.pycaffe.net_spec import params as P


def test_named_tops_name_their_layers_and_anonymous_ones_count_by_type() -> None:
    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[2, 3]))
    n.ip = L.InnerProduct(L.ReLU(L.ReLU(n.data)), num_output=5)
    n["loss/out"] = L.Softmax(n.ip)
    net = n.to_proto()
    assert [(layer.name, *layer.bottom, *layer.top) for layer in net.layer] == [
        ("data", "data"),
        ("ReLU1", "data", "ReLU1"),
        ("ReLU2", "ReLU1", "ReLU2"),
        ("ip", "ReLU2", "ip"),
        ("loss/out", "ip", "loss/out"),
    ]


def test_in_place_layer_has_its_own_name_and_its_bottoms_top() -> None:
    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[2, 3]))
    n.relu = L.ReLU(n.data, in_place=True)
    n.ip = L.InnerProduct(n.relu, num_output=5)
    relu, inner = n.to_proto().layer[1:]
    assert (relu.name, list(relu.bottom), list(relu.top)) == ("relu", ["data"], ["data"])
    assert list(inner.bottom) == ["data"]


def test_layers_without_tops_are_written_and_numbered() -> None:
    data = L.DummyData(shape=dict(dim=3), ntop=2)
    quiet = [L.Silence(each, ntop=0) for each in data]
    net = to_proto(*quiet)
    assert [layer.name for layer in net.layer] == ["DummyData1", "Silence1", "Silence2"]
    assert list(net.layer[0].top) == ["DummyData1", "DummyData2"]
    assert quiet[1].to_proto().layer[-1].name == "Silence1"


def test_settings_find_their_message() -> None:
    top = L.Convolution(
        L.Input(shape=[dict(dim=[1, 3, 5, 7])]),
        num_output=np.int64(5),
        kernel_size=3,
        weight_filler=dict(type="xavier"),
        param=[dict(lr_mult=1), dict(lr_mult=2)],
        loss_weight=0.5,
        name="other",
    )
    layer = top.to_proto().layer[-1]
    assert layer == text_format.Parse(
        'name: "other" type: "Convolution" bottom: "Input1" top: "Convolution1" loss_weight: 0.5'
        " param { lr_mult: 1 } param { lr_mult: 2 } convolution_param { num_output: 5 kernel_size: 3"
        ' weight_filler { type: "xavier" } }',
        LayerParameter(),
    )


def test_enums_by_number_and_by_name() -> None:
    assert P.Pooling.AVE == PoolingParameter.AVE
    data = L.Input(shape=dict(dim=[1, 3, 5, 7]))
    by_number, by_name = L.Pooling(data, pool=P.Pooling.AVE), L.Pooling(data, pool="AVE")
    assert by_number.to_proto() == by_name.to_proto()
    with pytest.raises(AttributeError, match="Poling"):
        print(P.Poling.AVE)
    with pytest.raises(AttributeError, match="AVERAGE"):
        print(P.Pooling.AVERAGE)


def test_unknown_setting_names_layer_and_field() -> None:
    data = L.Input(shape=dict(dim=[1, 3, 5, 7]))
    with pytest.raises(AttributeError, match=r"Convolution .*'Convolution1'.*'kernel'"):
        L.Convolution(data, kernel=3).to_proto()
    with pytest.raises(AttributeError, match=r"Deconvolution .*'num_output'.*convolution_param=dict"):
        L.Deconvolution(data, num_output=3).to_proto()


def test_inputs_are_tops() -> None:
    data = L.DummyData(ntop=2)
    with pytest.raises(TypeError, match=r"^Silence input 0 is not a Top \(type is <class 'tuple'>\)$"):
        L.Silence(data, ntop=0)


def test_what_is_no_top_is_refused_by_its_name() -> None:
    n = NetSpec()
    n.batch = 64
    with pytest.raises(TypeError, match=r"'batch' is not a Top .*int"):
        n.to_proto()


def test_unknown_top_is_a_key_error_and_hasattr_works() -> None:
    n = NetSpec()
    assert not hasattr(n, "conv1")
    with pytest.raises(KeyError, match="conv1"):
        print(n.conv1)
    n.conv1 = L.Input(shape=dict(dim=[1]))
    assert hasattr(n, "conv1")
    assert copy.copy(n).to_proto() == n.to_proto()
    del n.conv1
    assert n.to_proto() == NetParameter()


def test_very_deep_nets_need_no_recursion() -> None:
    top = L.Input(shape=dict(dim=[2, 3]))
    for _ in range(5000):
        top = L.ReLU(top)
    assert len(top.to_proto().layer) == 5001


def test_text_of_a_net_reads_back() -> None:
    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[2, 3, 5, 7]))
    n.scale = L.Power(n.data, scale=0.017, shift=-1e-7)
    net = n.to_proto()
    assert text_format.Parse(str(net), NetParameter()) == net


def test_tables_follow_the_schema() -> None:
    assert OWN_SETTINGS["BatchNorm"] == "batch_norm_param"
    assert OWN_SETTINGS["Python"] == "python_param"
