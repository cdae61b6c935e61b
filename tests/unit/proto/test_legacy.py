from __future__ import annotations

import logging

import pytest

from caffeflow.errors import NetError
from caffeflow.proto import legacy, text
from caffeflow.proto.caffe_pb2 import NetParameter, V1LayerParameter


def upgraded(prototxt: str) -> NetParameter:
    net = text.parse(prototxt, NetParameter(), source="old.prototxt")
    legacy.upgrade_net(net)
    return net


def test_every_v1_type_has_a_successor() -> None:
    assert set(legacy.V1_TYPES) == set(V1LayerParameter.LayerType.keys())
    assert len(legacy.V1_TYPES) == 40


def test_v1_layer_becomes_a_current_layer_with_its_multipliers() -> None:
    net = upgraded(
        """
        layers { name: "ip" type: INNER_PRODUCT bottom: "a" top: "b" param: "shared_w"
          blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 loss_weight: 0.5
          blob_share_mode: PERMISSIVE
          include { phase: TEST } inner_product_param { num_output: 7 } }
        """
    )
    (layer,) = net.layer
    assert (layer.type, layer.inner_product_param.num_output) == ("InnerProduct", 7)
    assert [(spec.name, spec.lr_mult, spec.decay_mult) for spec in layer.param] == [
        ("shared_w", 1, 1),
        ("", 2, 0),
    ]
    assert layer.param[0].share_mode == 1
    assert list(layer.loss_weight) == [0.5]
    assert len(layer.include) == 1
    assert not net.layers


@pytest.mark.parametrize(
    ("old", "new"), [("SOFTMAX_LOSS", "SoftmaxWithLoss"), ("TANH", "TanH"), ("NONE", "")]
)
def test_v1_types_that_do_not_follow_the_pattern(old: str, new: str) -> None:
    assert upgraded(f'layers {{ name: "x" type: {old} }}').layer[0].type == new


def test_transformation_fields_move_only_in_v1_data_layers() -> None:
    net = upgraded(
        'layers { name: "d" type: DATA top: "x" data_param { source: "db" scale: 0.5 mirror: true crop_size: 3 } }'
    )
    transform = net.layer[0].transform_param
    assert (transform.scale, transform.mirror, transform.crop_size) == (0.5, True, 3)
    assert not net.layer[0].data_param.HasField("scale")
    current = upgraded('layer { name: "d" type: "Data" data_param { mirror: true } }')
    assert not current.layer[0].HasField("transform_param")


def test_mixed_formats_are_refused() -> None:
    with pytest.raises(NetError, match="mixes"):
        upgraded('layer { name: "a" } layers { name: "b" type: RELU }')


def test_input_fields_become_an_input_layer_placed_first() -> None:
    net = upgraded(
        'input: "a" input: "b" input_dim: [1, 2, 3, 4, 5, 6, 7, 8] layer { name: "r" bottom: "a" }'
    )
    assert [layer.name for layer in net.layer] == ["input", "r"]
    assert [list(shape.dim) for shape in net.layer[0].input_param.shape] == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert not net.input
    assert not net.input_dim


def test_input_shape_wins_over_input_dim() -> None:
    net = upgraded('input: "a" input_dim: [1, 1, 1, 1] input_shape { dim: 9 dim: 5 }')
    assert [list(shape.dim) for shape in net.layer[0].input_param.shape] == [[9, 5]]


def test_inputs_without_shape_are_dropped_as_in_old_caffemodels() -> None:
    assert not upgraded('input: "a" layer { name: "r" }').input


def test_input_dims_that_are_not_four_an_input_are_refused() -> None:
    with pytest.raises(NetError, match="3 input_dim for 1 input"):
        upgraded('input: "a" input_dim: [1, 2, 3]')


def test_three_multipliers_of_batch_norm_become_zero() -> None:
    net = upgraded(
        'layer { type: "BatchNorm" param { name: "m" lr_mult: 1 } param { } param { decay_mult: 3 } }'
    )
    assert [(spec.name, spec.lr_mult, spec.decay_mult) for spec in net.layer[0].param] == [
        ("m", 0, 0),
        ("", 0, 0),
        ("", 0, 0),
    ]
    kept = upgraded('layer { type: "BatchNorm" param { lr_mult: 0 } }')
    assert len(kept.layer[0].param) == 1


V0 = """
name: "v0" input: "data" input_dim: [1, 3, 11, 13]
layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "data" top: "pad1" }
layers { layer { name: "conv1" type: "conv" num_output: 5 kernelsize: 3 stride: 2 group: 1 biasterm: false
         weight_filler { type: "xavier" } blobs_lr: 1 weight_decay: 3 dropout_ratio: 0.1 }
         bottom: "pad1" top: "conv1" }
layers { layer { name: "pool1" type: "pool" kernelsize: 3 stride: 2 pool: AVE } bottom: "conv1" top: "pool1" }
layers { layer { name: "norm1" type: "lrn" local_size: 3 alpha: 0.1 beta: 0.5 k: 2 } bottom: "pool1" top: "norm1" }
layers { layer { name: "loss" type: "softmax_loss" } bottom: "norm1" bottom: "label" }
"""


def test_v0_nets_are_upgraded_all_the_way(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        net = upgraded(V0)
    assert [(layer.name, layer.type) for layer in net.layer] == [
        ("input", "Input"),
        ("conv1", "Convolution"),
        ("pool1", "Pooling"),
        ("norm1", "LRN"),
        ("loss", "SoftmaxWithLoss"),
    ]
    conv = net.layer[1]
    assert list(conv.bottom) == ["data"]  # the padding layer is gone, its amount is here
    settings = conv.convolution_param
    assert (list(settings.pad), list(settings.kernel_size), list(settings.stride)) == ([2], [3], [2])
    assert (settings.num_output, settings.bias_term, settings.weight_filler.type) == (5, False, "xavier")
    assert (conv.param[0].lr_mult, conv.param[0].decay_mult) == (1, 3)
    assert (net.layer[2].pooling_param.pool, net.layer[2].pooling_param.kernel_size) == (1, 3)
    assert (net.layer[3].lrn_param.local_size, net.layer[3].lrn_param.k) == (3, 2)
    assert "dropout_ratio" in caplog.text  # means nothing for a convolution: said, not silently lost


def test_v0_data_layer_gets_transform_param() -> None:
    net = upgraded(
        'layers { layer { name: "d" type: "data" source: "db" batchsize: 4 scale: 0.5 meanfile: "m" cropsize: 7 } }'
    )
    layer = net.layer[0]
    assert (layer.type, layer.data_param.source, layer.data_param.batch_size) == ("Data", "db", 4)
    assert (layer.transform_param.scale, layer.transform_param.mean_file) == (0.5, "m")
    assert layer.transform_param.crop_size == 7


def test_v0_padding_read_by_something_else_is_refused() -> None:
    with pytest.raises(NetError, match="padding layer 'p'"):
        upgraded(
            'layers { layer { name: "p" type: "padding" pad: 1 } bottom: "x" top: "p" }'
            'layers { layer { name: "r" type: "relu" } bottom: "p" top: "r" }'
        )


def test_unknown_v0_type_is_refused() -> None:
    with pytest.raises(NetError, match="unknown V0 layer type 'sofmax'"):
        upgraded('layers { layer { name: "x" type: "sofmax" } }')
