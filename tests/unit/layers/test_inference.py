"""Shape inference over whole nets: counts, places, sources, in-place layers."""

from __future__ import annotations

import pytest

from caffeflow.errors import NetError
from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import Value, build_graph
from caffeflow.proto.text import parse

INPUT = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 7 dim: 5 } } }\n'


def shapes_of(text, **options):
    return infer(build_graph(parse(text, NetParameter(), source="net.prototxt")), **options)


def test_a_small_net():
    shapes = shapes_of(
        INPUT
        + """
        layer { name: "labels" type: "Input" top: "y" input_param { shape { dim: 2 } } }
        layer { name: "conv" type: "Convolution" bottom: "x" top: "c"
                convolution_param { num_output: 4 kernel_h: 3 kernel_w: 2 } }
        layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }
        layer { name: "fc" type: "InnerProduct" bottom: "c" top: "f" inner_product_param { num_output: 11 } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "f" bottom: "y" }
        """
    )
    assert [layer.name for layer in shapes.layers] == ["in", "labels", "conv", "relu", "fc", "loss"]
    assert dict(shapes.tops) == {
        Value("x", 0): (2, 3, 7, 5),
        Value("y", 0): (2,),
        Value("c", 0): (2, 4, 5, 4),
        Value("c", 1): (2, 4, 5, 4),
        Value("f", 0): (2, 11),
    }
    assert [layer.macs for layer in shapes.layers] == [0, 0, 2 * 4 * 5 * 4 * 18, 0, 2 * 80 * 11, 0]
    assert [blob.shape for blob in shapes.layers[4].blobs] == [(11, 80), (11,)]


def test_a_loss_without_top_has_one_all_the_same():
    labels = 'layer { name: "l" type: "Input" top: "y" input_param { shape { dim: 2 } } }'
    loss = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "s" bottom: "y" loss_weight: 0.5 }'
    scores = 'layer { name: "s" type: "Flatten" bottom: "x" top: "s" }'
    assert shapes_of(INPUT + labels + scores + loss).layers[-1].tops == ((),)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ('type: "ReLU" top: "t"', ["takes 1 bottom", "found 0"]),
        ('type: "ReLU" bottom: "x"', ["produces 1 top", "found 0"]),
        ('type: "Concat" top: "t"', ["takes at least 1 bottom", "found 0"]),
        ('type: "Eltwise" bottom: "x" top: "t"', ["takes at least 2 bottom", "found 1"]),
        ('type: "Scale" bottom: "x" bottom: "x" bottom: "x" top: "t"', ["takes at most 2 bottom", "found 3"]),
        ('type: "Silence" bottom: "x" top: "t"', ["produces 0 top", "found 1"]),
        (
            'type: "Convolution" bottom: "x" bottom: "x" top: "t"',
            ["one top blob", "each bottom", "2 bottom(s) and 1 top(s)"],
        ),
        ('type: "ReLU" bottom: "x" top: "t" loss_weight: 1 loss_weight: 2', ["loss_weight", "2", "1 top"]),
        ('type: "ReLU" bottom: "x" top: "t" param { lr_mult: 1 }', ["too many params", "1 param for 0"]),
        ('type: "Flatten" bottom: "x" top: "x"', ["Flatten cannot work in place", "'x'"]),
        ('type: "AbsVal" bottom: "x" top: "x"', ["AbsVal cannot work in place"]),
        (
            'type: "ReLU" bottom: "x" top: "x" relu_param { negative_slope: -0.5 }',
            ["negative_slope -0.5", "in place"],
        ),
    ],
)
def test_layers_that_do_not_fit_are_named(layer, words):
    with pytest.raises(NetError) as caught:
        shapes_of(INPUT + f'layer {{ name: "odd" {layer} }}')
    assert caught.value.layer == "odd"
    for word in words:
        assert word in str(caught.value)


DATA = 'layer { name: "data" type: "Data" top: "x" %s data_param { source: "train_lmdb" batch_size: 5 } %s }'


def test_records_give_their_shape():
    seen = []

    def record_shape(layer):
        seen.append(layer.data_param.source)
        return 3, 11, 13

    shapes = shapes_of(DATA % ('top: "y"', ""), record_shape=record_shape)
    assert seen == ["train_lmdb"]
    assert shapes.layers[0].tops == ((5, 3, 11, 13), (5,))
    assert shapes.layers[0].bottoms == ()


@pytest.mark.parametrize(
    ("transform", "expected"), [("crop_size: 7", (5, 3, 7, 7)), ("crop_h: 7 crop_w: 5", (5, 3, 7, 5))]
)
def test_crops_cut_the_records(transform, expected):
    text = DATA % ("", f"transform_param {{ {transform} }}")
    assert shapes_of(text, record_shape=lambda _: (3, 11, 13)).layers[0].tops == (expected,)


def test_a_crop_beyond_the_records_is_refused():
    text = DATA % ("", "transform_param { crop_size: 12 }")
    with pytest.raises(NetError, match=r"layer 'data': crop 12 x 12 .* 11 x 13"):
        shapes_of(text, record_shape=lambda _: (3, 11, 13))


def test_without_a_look_at_the_records_the_file_is_named():
    with pytest.raises(NetError, match=r"layer 'data': .*'train_lmdb'.*deploy"):
        shapes_of(DATA % ("", ""))


def test_images_of_a_list_need_both_sizes():
    text = 'layer { name: "d" type: "ImageData" top: "x" top: "y" image_data_param { %s } }'
    with pytest.raises(NetError, match="new_height 5, new_width 0"):
        shapes_of(text % 'source: "a.txt" batch_size: 2 new_height: 5')
    with pytest.raises(NetError, match="source is missing"):
        shapes_of(text % "batch_size: 2")


@pytest.mark.parametrize(
    ("dims", "words"),
    [
        ("dim: 2 dim: -1", ["2 x -1", "below 1"]),
        ("dim: 1 " * 33, ["top 0", "33 axes"]),
        ("dim: 65536 dim: 65536", ["65536 x 65536", "at most 2147483647 values"]),
    ],
)
def test_sizes_that_no_blob_of_caffe_has_are_refused_before_anything_is_allocated(dims, words):
    with pytest.raises(NetError) as caught:
        shapes_of(f'layer {{ name: "in" type: "Input" top: "x" input_param {{ shape {{ {dims} }} }} }}')
    assert caught.value.layer == "in"
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_weights_that_no_blob_of_caffe_holds_are_refused():
    first = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 70000 } } }'
    second = 'layer { name: "fc" type: "InnerProduct" bottom: "x" top: "t" inner_product_param { num_output: 70000 } }'
    with pytest.raises(
        NetError, match=r"layer 'fc': its weight has the shape 70000 x 70000; expected at most"
    ):
        shapes_of(first + second)


def test_a_layer_over_a_scalar_is_refused():
    scalar = 'layer { name: "in" type: "Input" top: "x" input_param { shape { } } }'
    with pytest.raises(NetError, match="layer 'best': the bottom is a scalar"):
        shapes_of(scalar + 'layer { name: "best" type: "ArgMax" bottom: "x" top: "t" }')
