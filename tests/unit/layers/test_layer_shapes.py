"""Shapes, blobs and costs that are known beforehand, and what is refused with which words."""

from __future__ import annotations

import pytest

from caffeflow.errors import NetError
from caffeflow.layers.inference import LayerFacts, infer
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.text import parse


def facts_of(layer: str, *bottoms: tuple[int, ...], tops: int = 1) -> LayerFacts:
    """Infers one layer with Input layers before it."""
    inputs = [
        f'layer {{ name: "b{index}" type: "Input" top: "b{index}" input_param {{ shape {{ '
        + " ".join(f"dim: {dim}" for dim in shape)
        + " } } }"
        for index, shape in enumerate(bottoms)
    ]
    links = " ".join(
        [f'bottom: "b{index}"' for index in range(len(bottoms))]
        + [f'top: "t{index}"' for index in range(tops)]
    )
    text = "\n".join([*inputs, f'layer {{ name: "it" {links} {layer} }}'])
    return infer(build_graph(parse(text, NetParameter(), source="test"))).layers[-1]


def pooled(size, k, s, p):
    text = f'type: "Pooling" pooling_param {{ kernel_size: {k} stride: {s} pad: {p} }}'
    return facts_of(text, (1, 2, size, size + 1)).tops[0][2]


@pytest.mark.parametrize(
    ("size", "k", "s", "p", "out"),
    [
        (6, 3, 2, 0, 3),
        (5, 3, 2, 1, 3),
        (4, 2, 2, 1, 3),
        (3, 2, 2, 1, 2),
        (112, 3, 2, 0, 56),
        (13, 3, 2, 0, 6),
        (4, 3, 2, 1, 3),
    ],
)
def test_pooling_rounds_up_and_clips_only_with_padding(size, k, s, p, out):
    assert pooled(size, k, s, p) == out


def test_pooling_keeps_the_last_window_without_padding():
    text = 'type: "Pooling" pooling_param { kernel_size: 1 stride: 3 }'
    assert facts_of(text, (1, 2, 5, 7)).tops[0] == (1, 2, 3, 3)


def test_padding_of_one_axis_clips_both():
    # Along w: ceil((6 - 1) / 4) + 1 = 3 windows; the third begins at 8, beyond the image.
    text = 'type: "Pooling" pooling_param { kernel_h: 3 kernel_w: 1 stride_h: 2 stride_w: 4 %s }'
    assert facts_of(text % "", (1, 2, 5, 6)).tops[0][2:] == (2, 3)
    assert facts_of(text % "pad_h: 1 pad_w: 0", (1, 2, 5, 6)).tops[0][2:] == (3, 2)


@pytest.mark.parametrize(
    ("layer", "bottom", "macs", "weights"),
    [
        # 5 x 4 outputs of 7 channels, each the sum of 3 x 3 x 2 products, for 2 images.
        (
            'type: "Convolution" convolution_param { num_output: 7 kernel_h: 3 kernel_w: 2 }',
            (2, 3, 7, 5),
            2 * 7 * 5 * 4 * 18,
            (7, 3, 3, 2),
        ),
        (
            'type: "Convolution" convolution_param { num_output: 6 group: 3 kernel_size: 1 }',
            (2, 3, 7, 5),
            2 * 6 * 7 * 5,
            (6, 1, 1, 1),
        ),
        (
            'type: "Deconvolution" convolution_param { num_output: 7 kernel_h: 3 kernel_w: 2 stride: 2 }',
            (2, 3, 7, 5),
            2 * 3 * 7 * 5 * 7 * 6,
            (3, 7, 3, 2),
        ),
        ('type: "InnerProduct" inner_product_param { num_output: 11 }', (2, 3, 7, 5), 2 * 105 * 11, (11, 105)),
        ('type: "DepthwiseConvolution" convolution_param { kernel_size: 3 }', (1, 5, 7, 4), 5 * 5 * 2 * 9, (5, 1, 3, 3)),
        (
            'type: "DepthwiseConvolution" convolution_param { num_output: 10 kernel_size: 3 }',
            (1, 5, 7, 4), 10 * 5 * 2 * 9, (10, 1, 3, 3),
        ),
    ],
)  # fmt: skip
def test_multiply_accumulates_and_weights(layer, bottom, macs, weights):
    facts = facts_of(layer, bottom)
    assert facts.macs == macs
    assert facts.blobs[0].shape == weights


def test_other_layers_cost_nothing():
    assert facts_of('type: "ReLU"', (2, 3, 5, 7)).macs == 0


def test_a_filler_left_out_means_zeros_but_for_scale_and_prelu():
    convolution = facts_of(
        'type: "Convolution" convolution_param { num_output: 2 kernel_size: 1 }', (1, 3, 5, 7)
    )
    assert [blob.filler for blob in convolution.blobs] == [None, None]
    assert facts_of('type: "Scale"', (2, 3)).blobs[0].filler.value == 1
    assert facts_of('type: "PReLU"', (2, 3)).blobs[0].filler.value == 0.25
    assert facts_of('type: "Bias"', (2, 3)).blobs[0].filler is None


def test_statistics_are_not_trained():
    assert [blob.trained for blob in facts_of('type: "BatchNorm"', (2, 3, 5, 7)).blobs] == [False] * 3


def test_dummy_data_in_its_older_spelling():
    text = 'type: "DummyData" dummy_data_param { num: 2 num: 7 channels: 3 height: 5 width: 1 width: 11 }'
    assert facts_of(text, tops=2).tops == ((2, 3, 5, 1), (7, 3, 5, 11))


def test_one_shape_of_an_input_goes_for_all_its_tops():
    text = 'type: "Input" input_param { shape { dim: 2 dim: 3 } }'
    assert facts_of(text, tops=3).tops == ((2, 3),) * 3


CONV = 'type: "Convolution" convolution_param { %s }'
POOL = 'type: "Pooling" pooling_param { %s }'
X = (2, 6, 7, 5)

REFUSED = [
    (CONV % "kernel_size: 3", [X], ["num_output is 0"]),
    (CONV % "num_output: 4 kernel_size: 3 group: 4", [X], ["group 4", "6 channels"]),
    (CONV % "num_output: 4 kernel_size: 3 group: 3", [X], ["group 3", "4 num_output"]),
    (CONV % "num_output: 4 kernel_size: 3 group: 0", [X], ["group is 0"]),
    (CONV % "num_output: 4 kernel_size: 8", [X], ["kernel covers 8", "only 7"]),
    (CONV % "num_output: 4 kernel_size: 3 stride: 0", [X], ["stride is 0"]),
    (CONV % "num_output: 4 kernel_size: 3 stride_w: 2", [X], ["stride_h/stride_w is 0"]),
    (CONV % "num_output: 4 kernel_size: 3 axis: 4", [X], ["axis is 4", "4 axes"]),
    (CONV % "num_output: 4", [X], ["kernel_size", "missing"]),
    ('type: "DepthwiseConvolution" convolution_param { num_output: 4 kernel_size: 1 }', [X], ["group 6", "4 num_output"]),
    ('type: "DepthwiseConvolution" convolution_param { num_output: 0 kernel_size: 1 }', [X], ["num_output is 0"]),
    ('type: "Deconvolution" convolution_param { num_output: 2 kernel_size: 1 pad: 4 }', [X], ["pad (4, 4)"]),
    (POOL % "", [X], ["kernel_size is missing", "global_pooling"]),
    (POOL % "kernel_size: 0", [X], ["kernel_size is 0", "at least 1", "global_pooling"]),
    (POOL % "kernel_size: 3 stride: 0", [X], ["stride is 0"]),
    (POOL % "kernel_h: 3", [X], ["kernel_h", "kernel_w"]),
    (POOL % "kernel_h: 3 kernel_w: 2 pad: 2", [X], ["pad 2 along w", "smaller than the kernel, which is 2"]),
    (POOL % "kernel_size: 3 global_pooling: true", [X], ["global_pooling"]),
    (POOL % "global_pooling: true pad: 1", [X], ["global_pooling", "pad"]),
    (POOL % "kernel_size: 3 pad_h: 0 pad_w: 1 pool: STOCHASTIC", [X], ["STOCHASTIC", "no padding", "(0, 1)"]),
    ('type: "SPP"', [X], ["pyramid_height is 0"]),
    ('type: "SPP" spp_param { pyramid_height: 2 }', [(2, 6)], ["4 axes", "2 x 6"]),
    ('type: "SPP" spp_param { pyramid_height: 3 }', [X], ["pad 2 along w", "level of 4 x 4", "7 x 5"]),
    ('type: "MVN"', [(2, 3, 5, 7, 11)], ["at most 4 axes"]),
    (POOL % "kernel_h: 3 kernel_w: 7", [X], ["7 along w", "only 5"]),
    (POOL % "kernel_size: 2", [(2, 3, 5)], ["4 axes", "2 x 3 x 5"]),
    ('type: "InnerProduct"', [X], ["num_output is 0"]),
    ('type: "InnerProduct" inner_product_param { num_output: 2 axis: 5 }', [X], ["axis is 5"]),
    ('type: "LRN" lrn_param { local_size: 4 }', [X], ["local_size is 4", "odd"]),
    ('type: "LRN"', [(2, 3)], ["4 axes"]),
    ('type: "Dropout" dropout_param { dropout_ratio: 1 }', [X], ["dropout_ratio is 1"]),
    ('type: "Dropout" dropout_param { dropout_ratio: -0.5 }', [X], ["dropout_ratio is -0.5"]),
    ('type: "BatchNorm"', [(3,)], ["2 axes"]),
    ('type: "BatchNorm" param { lr_mult: 0 } param { decay_mult: 0 }', [X], ["lr_mult 1", "lr_mult: 0"]),
    ('type: "Scale" scale_param { axis: 3 num_axes: 2 }', [X], ["axis 3 and num_axes 2", "4 axes"]),
    ('type: "Scale" scale_param { num_axes: -2 }', [X], ["num_axes is -2"]),
    ('type: "Scale"', [X, (6, 5)], ["6 x 5", "from axis 1"]),
    ('type: "Eltwise"', [X, (2, 6, 7, 4)], ["2 x 6 x 7 x 5", "2 x 6 x 7 x 4"]),
    ('type: "Eltwise" eltwise_param { coeff: 1 }', [X, X], ["1 coeff for 2"]),
    ('type: "Eltwise" eltwise_param { operation: PROD coeff: 1 coeff: 2 }', [X, X], ["PROD", "SUM"]),
    ('type: "Concat"', [X, (2, 6, 5, 5)], ["concat axis 1", "2 x 6 x 5 x 5"]),
    ('type: "Concat" concat_param { axis: 1 concat_dim: 1 }', [X], ["axis and concat_dim"]),
    ('type: "Slice" slice_param { slice_point: 2 }', [X], ["1 slice_point for 1"]),
    ('type: "Flatten" flatten_param { axis: 2 end_axis: 1 }', [X], ["end_axis 1", "axis 2"]),
    ('type: "Reshape" reshape_param { shape { dim: 0 dim: 4 dim: -1 } }', [X], ["420", "8"]),
    ('type: "Reshape" reshape_param { shape { dim: 0 dim: 4 } }', [X], ["420", "2 x 4"]),
    ('type: "Reshape" reshape_param { shape { dim: -1 dim: -1 } }', [X], ["more than one -1"]),
    ('type: "Reshape" reshape_param { shape { dim: -2 } }', [X], ["below -1"]),
    ('type: "Reshape" reshape_param { num_axes: -2 }', [X], ["num_axes is -2"]),
    ('type: "Reshape" reshape_param { shape { dim: 1 } axis: 5 }', [X], ["axis 5"]),
    ('type: "Reshape" reshape_param { shape { dim: 0 dim: 0 dim: 0 dim: 0 dim: 0 } }', [X], ["copies axis 4"]),
    ('type: "Clip"', [X], ["min is missing"]),
    ('type: "PReLU"', [(3,)], ["2 axes"]),
    ('type: "Exp" exp_param { base: 0 }', [X], ["base is 0"]),
    ('type: "Log" log_param { base: 1 }', [X], ["base is 1"]),
    ('type: "Tile"', [X], ["tiles is missing"]),
    ('type: "Tile" tile_param { tiles: 2 axis: 4 }', [X], ["axis is 4"]),
    ('type: "Crop" crop_param { offset: 1 offset: 1 offset: 1 }', [X, X], ["3 offset for 2", "from axis 2"]),
    ('type: "Crop" crop_param { offset: 3 }', [X, X], ["takes 7 from 3 on along axis 2", "only 7"]),
    ('type: "Crop"', [X, (2, 6)], ["4 axes", "2 x 6"]),
    ('type: "BatchReindex"', [X, (2, 1)], ["1 axis", "2 x 1"]),
    ('type: "Filter"', [X, (2, 3)], ["one value a row", "2 x 3"]),
    ('type: "Filter"', [X, (3,)], ["among 3 rows", "2 x 6 x 7 x 5"]),
    ('type: "Filter"', [X, (2,), (2,)], ["3 bottoms and 1 tops"]),
    ('type: "Embed" embed_param { num_output: 2 }', [(2,)], ["input_dim is 0"]),
    ('type: "Embed" embed_param { input_dim: 2 }', [(2,)], ["num_output is 0"]),
    ('type: "Parameter" parameter_param { shape { dim: 2 dim: 0 } }', [], ["shape 2 x 0", "below 1"]),
    ('type: "Im2col"', [X], ["kernel_size", "missing"]),
    ('type: "Im2col" convolution_param { kernel_size: 8 }', [X], ["kernel covers 8", "only 7"]),
    ('type: "Softmax" softmax_param { axis: 4 }', [X], ["axis is 4"]),
    ('type: "SoftmaxWithLoss"', [(2, 5), (3,)], ["same first dimension", "2 x 5", "3"]),
    ('type: "SoftmaxWithLoss"', [(2, 5, 3), (2, 2)], ["need 6 labels", "found 4"]),
    ('type: "EuclideanLoss"', [(2, 5), (2, 4)], ["same count", "2 x 5", "2 x 4"]),
    ('type: "SigmoidCrossEntropyLoss"', [(2, 5), (3, 5)], ["same first dimension"]),
    ('type: "HingeLoss"', [(2, 5), (2, 3)], ["one label a row", "2 x 3"]),
    ('type: "MultinomialLogisticLoss"', [(2, 5), (3,)], ["same first dimension"]),
    ('type: "InfogainLoss"', [(2, 5), (2,)], ["no matrix", "source", "third bottom"]),
    ('type: "InfogainLoss"', [(2, 5), (2,), (5, 4)], ["5 x 5 values", "5 x 4"]),
    ('type: "InfogainLoss" loss_param { normalize: true }', [(2, 5), (2,), (5, 5)], ["normalization"]),
    ('type: "ContrastiveLoss"', [(2, 5), (2, 4), (2,)], ["as long", "2 x 5", "2 x 4"]),
    ('type: "ContrastiveLoss"', [(2, 5, 3), (2, 5, 3), (2,)], ["N x C", "2 x 5 x 3"]),
    ('type: "ContrastiveLoss"', [(2, 5), (2, 5), (2, 2)], ["one value for each of 2 rows"]),
    ('type: "Accuracy"', [(2, 5), (3,)], ["need 2 labels"]),
    ('type: "Accuracy" accuracy_param { top_k: 6 }', [(2, 5), (2,)], ["top_k is 6", "5 classes"]),
    ('type: "Accuracy" accuracy_param { top_k: 0 }', [(2, 5), (2,)], ["top_k is 0"]),
    ('type: "ArgMax" argmax_param { top_k: 6 axis: 1 }', [(2, 5)], ["top_k is 6", "5"]),
    ('type: "ArgMax" argmax_param { top_k: 0 }', [(2, 5)], ["top_k is 0"]),
    ('type: "Data"', [], ["source is missing"]),
    ('type: "Data" data_param { source: "x" }', [], ["batch_size is 0"]),
    ('type: "Input" input_param { shape { dim: 0 } }', [], ["shape 0", "below 1"]),
    ('type: "Input"', [], ["0 shape for 1"]),
    ('type: "DummyData" dummy_data_param { num: 2 }', [], ["0 channels"]),
    ('type: "DummyData" dummy_data_param { num: 2 shape { dim: 2 } }', [], ["shape and num"]),
    ('type: "DummyData" dummy_data_param { shape { dim: 2 } data_filler {} data_filler {} }', [], ["2 data_filler"]),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "bottoms", "words"), REFUSED, ids=lambda value: str(value)[:70])
def test_what_caffe_refuses_is_refused_by_name(layer, bottoms, words):
    with pytest.raises(NetError) as caught:
        facts_of(layer, *bottoms)
    assert caught.value.layer == "it"
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "tops", "words"),
    [
        ('type: "Slice"', 4, ["6", "4 equal parts"]),
        (
            'type: "Slice" slice_param { slice_point: 3 slice_point: 3 }',
            3,
            ["slice_point 3, 3", "increasing"],
        ),
        ('type: "Slice" slice_param { slice_point: 6 }', 2, ["slice_point 6", "has 6"]),
        ('type: "Slice" slice_param { axis: 1 slice_dim: 1 }', 2, ["axis and slice_dim"]),
        (POOL % "kernel_size: 2 pool: AVE", 2, ["AVE", "1 top"]),
    ],
)
def test_tops_that_do_not_fit_are_refused(layer, tops, words):
    with pytest.raises(NetError) as caught:
        facts_of(layer, X, tops=tops)
    for word in words:
        assert word in str(caught.value)


def test_the_table_of_refusals_is_whole():
    assert len(REFUSED) == 94
