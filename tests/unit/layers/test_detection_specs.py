"""The SSD fork's layers without torch: shapes that are known beforehand, and what is refused in which words."""

from __future__ import annotations

import pytest

from caffeflow.errors import NetError
from caffeflow.layers.inference import LayerFacts, infer
from caffeflow.layers.prior_box import PriorBoxParams
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.text import parse


def facts_of(layer: str, *bottoms: tuple[int, ...]) -> LayerFacts:
    """Infers one layer with Input layers before it."""
    inputs = [
        f'layer {{ name: "b{index}" type: "Input" top: "b{index}" input_param {{ shape {{ '
        + " ".join(f"dim: {dim}" for dim in shape)
        + " } } }"
        for index, shape in enumerate(bottoms)
    ]
    links = " ".join(f'bottom: "b{index}"' for index in range(len(bottoms)))
    text = "\n".join([*inputs, f'layer {{ name: "it" {links} top: "t" {layer} }}'])
    return infer(build_graph(parse(text, NetParameter(), source="test"))).layers[-1]


PERMUTE = 'type: "Permute" permute_param { %s }'
PRIOR = 'type: "PriorBox" prior_box_param { %s }'
OUTPUT = 'type: "DetectionOutput" detection_output_param { %s }'
EVALUATE = 'type: "DetectionEvaluate" detection_evaluate_param { %s }'
TF = 'type: "Convolution" convolution_param { num_output: 2 %s }'
SAVE = 'save_output_param { output_directory: "d" label_map_file: "m" name_size_file: "n" %s }'
RESIZE = "num_classes: 3 resize_param { height: 30 %s }"

X = (2, 6, 7, 5)
PLACE, IMAGE = (2, 6, 7, 5), (2, 3, 70, 50)
HEADS = [(2, 44), (2, 33), (1, 2, 44)]
ROWS = [(1, 1, 1, 7), (1, 1, 1, 8)]


@pytest.mark.parametrize(
    ("settings", "bottoms", "boxes"),
    [
        ("min_size: 3", [PLACE, IMAGE], 1),
        ("min_size: 3 max_size: 5 aspect_ratio: 2 aspect_ratio: 3", [PLACE, IMAGE], 6),
        ("min_size: 3 max_size: 5 aspect_ratio: [2, 3] flip: false", [PLACE, IMAGE], 4),
        ("min_size: [3, 4] max_size: [5, 6] aspect_ratio: [2, 0.5, 1]", [PLACE, IMAGE], 8),
        ("min_size: 3 img_size: 300", [PLACE], 1),
        ("min_size: 3", [(2, 6), IMAGE], 1),
    ],
)
def test_priors_are_counted_without_making_them(settings, bottoms, boxes):
    places = 35 if len(bottoms[0]) == 4 else 1
    assert facts_of(PRIOR % settings, *bottoms).tops == ((1, 2, places * boxes * 4),)


def test_the_sides_of_boxes_in_their_order():
    layer = parse(PRIOR % "min_size: 4.75 max_size: 9.5 aspect_ratio: 4", LayerParameter(), source="layer")
    params = PriorBoxParams.read(layer)
    assert params.sides() == [(4, 4), (6, 6), (2, 8), (8, 2)]  # (height, width)
    assert params.count == 4


def test_tops_whose_rows_vary_are_shown_with_one():
    assert facts_of(OUTPUT % "num_classes: 3", *HEADS).tops == ((1, 1, 1, 7),)
    assert facts_of(EVALUATE % "num_classes: 3", *ROWS).tops == ((1, 1, 3, 5),)
    assert facts_of(EVALUATE % "num_classes: 3 background_label_id: 4294967295", *ROWS).tops == (
        (1, 1, 4, 5),
    )
    with pytest.raises(NetError, match="at most 2147483647 values"):  # and no memory is taken to count them
        facts_of(EVALUATE % "num_classes: 4294967295", *ROWS)


@pytest.mark.parametrize(
    ("settings", "size", "out"),
    [
        ("kernel_size: 3 pad: 1 stride: 2 tf_pad: SAME", (300, 75), (150, 38)),
        ("kernel_size: 3 pad: 1 tf_pad: SAME", (19, 10), (19, 10)),
        ("kernel_size: 1 tf_pad: SAME", (19, 10), (19, 10)),
        ("kernel_size: 3 pad: 1 stride: 2 tf_pad: VALID", (19, 10), (9, 4)),
        ("kernel_size: 3 pad: 1 stride: 2", (19, 10), (10, 5)),
    ],
)
def test_tf_pad(settings, size, out):
    assert facts_of(TF % settings, (1, 3, *size)).tops == ((1, 2, *out),)


def test_only_a_written_tf_pad_counts_though_its_default_is_same():
    plain, same = (
        facts_of(TF % f"kernel_size: 3 pad: 1 stride: 2 {end}", (1, 3, 8, 7)) for end in ("", "tf_pad: SAME")
    )
    assert plain.params.filters((1, 3, 8, 7)).pads_end_only == (False, False)
    assert same.params.filters((1, 3, 8, 7)).pads_end_only == (True, False)


REFUSED = [
    (PERMUTE % "order: 0 order: 0", [X], ["order [0, 0]", "twice"]),
    (PERMUTE % "order: 4", [X], ["axis 4", "4 axes"]),
    ('type: "Normalize"', [(3,)], ["2 to 4 axes"]),
    ('type: "SmoothL1Loss"', [(2, 5), (2, 4)], ["same shape", "2 x 5", "2 x 4"]),
    ('type: "SmoothL1Loss"', [(2, 5), (2, 5), (1, 5)], ["same shape", "1 x 5"]),
    ('type: "SmoothL1Loss"', [(2, 5)], ["at least 2"]),
    (PRIOR % "", [PLACE, IMAGE], ["min_size is missing"]),
    (PRIOR % "min_size: 0", [PLACE, IMAGE], ["min_size is 0", "positive"]),
    (PRIOR % "min_size: [3, 4] max_size: 5", [PLACE, IMAGE], ["1 max_size for 2 min_size"]),
    (PRIOR % "min_size: 3 max_size: 3", [PLACE, IMAGE], ["max_size 3", "min_size 3", "greater"]),
    (PRIOR % "min_size: 3 aspect_ratio: 0", [PLACE, IMAGE], ["aspect_ratio is 0"]),
    (PRIOR % "min_size: 3 variance: [1, 1]", [PLACE, IMAGE], ["2 variance", "one or four"]),
    (PRIOR % "min_size: 3 variance: -1", [PLACE, IMAGE], ["variance is -1"]),
    (PRIOR % "min_size: 3 img_size: 3 img_h: 3 img_w: 3", [PLACE, IMAGE], ["img_size and img_h/img_w"]),
    (PRIOR % "min_size: 3 img_h: 3", [PLACE, IMAGE], ["img_w is 0"]),
    (PRIOR % "min_size: 3 img_size: 0", [PLACE, IMAGE], ["img_size is 0"]),
    (PRIOR % "min_size: 3 step: 3 step_h: 3", [PLACE, IMAGE], ["step and step_h/step_w"]),
    (PRIOR % "min_size: 3 step_w: 3", [PLACE, IMAGE], ["step_h is 0"]),
    (PRIOR % "min_size: 3", [PLACE], ["one bottom", "img_size"]),
    (OUTPUT % "", HEADS, ["num_classes is missing"]),
    (OUTPUT % "num_classes: 0", HEADS, ["num_classes is 0"]),
    (OUTPUT % "num_classes: 3 nms_param { nms_threshold: -0.5 }", HEADS, ["nms_threshold is -0.5"]),
    (OUTPUT % "num_classes: 3 nms_param { eta: 0 }", HEADS, ["eta is 0"]),
    (OUTPUT % "num_classes: 3 nms_param { eta: 1.5 }", HEADS, ["eta is 1.5"]),
    (OUTPUT % "num_classes: 4", HEADS, ["conf head", "11 priors x 4 values need 44", "found 33"]),
    (OUTPUT % "num_classes: 3 share_location: false", HEADS, ["loc head", "need 132", "found 44", "num_classes"]),
    (OUTPUT % "num_classes: 3", [(3, 44), *HEADS[1:]], ["as many rows", "3 x 44", "2 x 33"]),
    (OUTPUT % "num_classes: 3", [*HEADS[:2], (1, 1, 44)], ["1 x 2 x P*4", "1 x 1 x 44"]),
    (OUTPUT % "num_classes: 3", [(2, 11, 4), *HEADS[1:]], ["flat", "2 x 11 x 4"]),
    (OUTPUT % f"num_classes: 3 {SAVE % ''}", HEADS, ["output_format is ''", "VOC"]),
    (OUTPUT % ("num_classes: 3 " + SAVE % 'output_format: "voc"'), HEADS, ["'voc'", "ILSVRC"]),
    (OUTPUT % ("num_classes: 3 " + SAVE % 'output_format: "VOC" num_test_image: 0'), HEADS, ["num_test_image is 0"]),
    (EVALUATE % "", ROWS, ["num_classes is missing"]),
    (EVALUATE % "num_classes: 3 overlap_threshold: 0", ROWS, ["overlap_threshold is 0"]),
    (EVALUATE % (RESIZE % ""), ROWS, ["resize_param has height 30, width 0"]),
    (EVALUATE % "num_classes: 3", [(1, 1, 1, 8), ROWS[1]], ["detections", "7", "1 x 1 x 1 x 8"]),
    (EVALUATE % "num_classes: 3", [ROWS[0], (2, 8)], ["ground truth", "2 x 8"]),
    (TF % "kernel_size: 2 stride: 2 tf_pad: SAME", [X], ["tf_pad SAME", "axis 2", "stride 2", "leave tf_pad out"]),
    (TF % "kernel_size: 3 dilation: 2 pad: 2 tf_pad: SAME", [X], ["tf_pad SAME", "(k-1)/2"]),
    (TF % "kernel_size: 3 tf_pad: SAME", [(2, 6, 7)], ["tf_pad", "1 spatial axes"]),
    (TF % "kernel_size: 3 tf_pad: SAME axis: 0", [(6, 7, 5)], ["tf_pad", "axis 0"]),
    (TF % "kernel_size: 3 tf_pad: SAME force_nd_im2col: true", [X], ["tf_pad", "force_nd_im2col"]),
    ('type: "Deconvolution" convolution_param { num_output: 2 kernel_size: 3 tf_pad: SAME }', [X], ["tf_pad", "Deconvolution"]),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "bottoms", "words"), REFUSED, ids=lambda value: str(value)[:80])
def test_what_is_refused_is_refused_by_name(layer, bottoms, words):
    with pytest.raises(NetError) as caught:
        facts_of(layer, *bottoms)
    assert caught.value.layer == "it"
    for word in words:
        assert word in str(caught.value)


def test_nothing_is_written_without_folder_label_map_and_sizes():
    for files in (
        'output_directory: "d"',
        'label_map_file: "m" name_size_file: "n"',
        'output_directory: "d" label_map_file: "m"',
    ):
        facts = facts_of(OUTPUT % f"num_classes: 3 save_output_param {{ {files} }}", *HEADS)
        assert facts.params.results is None
    assert len(REFUSED) == 43
