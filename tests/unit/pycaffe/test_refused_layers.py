"""What a wrong layer is told: its name, what was expected, what was found. One line each, whatever reads it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from caffeflow import pycaffe as caffe
from caffeflow.errors import DataError, NetError

INPUT = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
LABELS = 'layer { name: "in2" type: "Input" top: "labels" input_param { shape { dim: 2 } } }\n'


def inner_product(name: str, bottom: str, outputs: int, param: str) -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" param {{ {param} }}'
        f" inner_product_param {{ num_output: {outputs} bias_term: false }} }}\n"
    )


CASES = {
    "params": (
        inner_product("a", "x", 2, "} param {"),
        "'a'.*2 param for 1 learned",
    ),
    "shared shapes": (
        inner_product("a", "x", 2, 'name: "w"') + inner_product("b", "a", 3, 'name: "w"'),
        "'b'.*'w' with layer 'a': expected the same shape.*found 3 x 2 here and 2 x 3 there",
    ),
    "shared counts": (
        inner_product("a", "x", 2, 'name: "w"')
        + inner_product("b", "a", 5, 'name: "w" share_mode: PERMISSIVE'),
        "'b'.*'w' with layer 'a': expected the same number of values.*found 5 x 2 here and 2 x 3 there",
    ),
    "shared rates": (
        inner_product("a", "x", 3, 'name: "w" lr_mult: 1')
        + inner_product("b", "a", 3, 'name: "w" lr_mult: 2'),
        "'b'.*'w' has lr_mult 2 here and 1 in layer 'a'",
    ),
    "too few bottoms": (
        'layer { name: "sum" type: "Eltwise" bottom: "x" top: "y" }',
        "'sum'.*takes at least 2 bottom.*found 1",
    ),
    "too many tops": (
        'layer { name: "act" type: "ReLU" bottom: "x" top: "y" top: "z" }',
        "'act'.*produces 1 top.*found 2",
    ),
    "loss weights": (
        'layer { name: "act" type: "ReLU" bottom: "x" top: "y" loss_weight: 1 loss_weight: 2 }',
        "'act'.*once per top blob; found 2 loss_weight for 1 top",
    ),
    "propagate_down": (
        'layer { name: "act" type: "ReLU" bottom: "x" top: "y" propagate_down: true propagate_down: false }',
        "'act'.*2 propagate_down for 1 bottoms; expected none or one for each",
    ),
    "axes": (
        'layer { name: "far" type: "Input" top: "f" input_param { shape { dim: 2 dim: 3 dim: 3 dim: 3 dim: 3'
        ' dim: 3 } } } layer { name: "conv" type: "Convolution" bottom: "f" top: "y"'
        " convolution_param { num_output: 2 kernel_size: 2 } }",
        "'conv'.*4 spatial axes.*up to 3",
    ),
    "near type": (
        'layer { name: "conv" type: "Convolutoin" bottom: "x" top: "y" }',
        "'conv'.*'Convolutoin'; did you mean 'Convolution'",
    ),
    "another fork's type": (
        'layer { name: "rois" type: "ROIPooling" bottom: "x" top: "y" }',
        "'rois'.*'ROIPooling' is of Fast R-CNN's tree",
    ),
    "another fork's field": (
        'layer { name: "rois" type: "ReLU" bottom: "x" top: "y" roi_pooling_param { } }',
        "'roi_pooling_param': a layer of Fast R-CNN's tree",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_layer_is_told_by_name_with_both_sides(tmp_path: Path, case: str) -> None:
    text, words = CASES[case]
    path = tmp_path / "net.prototxt"
    path.write_text(INPUT + text)
    with pytest.raises(NetError) as caught:
        caffe.Net(str(path), caffe.TRAIN)
    told = str(caught.value)
    assert re.search(words, told), told
    assert told.startswith(f"{path}:")
    assert "\n" not in told


@pytest.mark.parametrize("loss", ["SoftmaxWithLoss", "MultinomialLogisticLoss", "HingeLoss", "Accuracy"])
@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_told_with_the_classes(tmp_path: Path, loss: str, label: int) -> None:
    text = f'layer {{ name: "last" type: "{loss}" bottom: "x" bottom: "labels" top: "y" }}'
    (tmp_path / "net.prototxt").write_text(INPUT + LABELS + text)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net.blobs["x"].data[...] = 0.25
    net.blobs["labels"].data[...] = np.array([2, label])
    with pytest.raises(DataError, match=rf"'last'.*label {label} is not among its 3 classes \(0 to 2\)"):
        net.forward()
