"""The table of layer types, and what a type outside it is told."""

from __future__ import annotations

import pytest

from caffeflow.errors import UnsupportedLayerError
from caffeflow.layers.spec import SPECS, LayerSpec, no_params, register, same_shape, spec_for
from caffeflow.layers.unsupported import UNSUPPORTED
from caffeflow.proto.caffe_pb2 import LayerParameter

BVLC = [
    "AbsVal",
    "Accuracy",
    "ArgMax",
    "BNLL",
    "BatchNorm",
    "BatchReindex",
    "Bias",
    "Clip",
    "Concat",
    "ContrastiveLoss",
    "Convolution",
    "Crop",
    "Data",
    "Deconvolution",
    "Dropout",
    "DummyData",
    "ELU",
    "Eltwise",
    "Embed",
    "EuclideanLoss",
    "Exp",
    "Filter",
    "Flatten",
    "HDF5Data",
    "HDF5Output",
    "HingeLoss",
    "Im2col",
    "ImageData",
    "InfogainLoss",
    "InnerProduct",
    "Input",
    "LRN",
    "LSTM",
    "LSTMUnit",
    "Log",
    "MVN",
    "MemoryData",
    "MultinomialLogisticLoss",
    "PReLU",
    "Parameter",
    "Pooling",
    "Power",
    "Python",
    "RNN",
    "ReLU",
    "Reduction",
    "Reshape",
    "SPP",
    "Scale",
    "Sigmoid",
    "SigmoidCrossEntropyLoss",
    "Silence",
    "Slice",
    "Softmax",
    "SoftmaxWithLoss",
    "Split",
    "Swish",
    "TanH",
    "Threshold",
    "Tile",
    "WindowData",
]

SSD = [
    "AnnotatedData",
    "DetectionEvaluate",
    "DetectionOutput",
    "MultiBoxLoss",
    "Normalize",
    "Permute",
    "PriorBox",
    "ReLU6",
    "SmoothL1Loss",
    "VideoData",
]

DEPTHWISE = ["ConvolutionDepthwise", "DepthwiseConvolution"]


def test_every_type_of_both_trees_is_known_or_refused_with_a_reason():
    assert len(BVLC) == 61
    assert len(SSD) == 10
    assert sorted([*SPECS, *UNSUPPORTED]) == sorted([*BVLC, *SSD, *DEPTHWISE])
    assert len(UNSUPPORTED) == 1


def test_registering_twice_raises():
    again = LayerSpec(type="Pooling", read=no_params, shapes=same_shape)
    before = SPECS["Pooling"]
    with pytest.raises(ValueError, match="'Pooling' is registered twice"):
        register(again)
    assert SPECS["Pooling"] is before


@pytest.mark.parametrize(
    ("layer_type", "words"),
    [
        ("Convolutional", ["layer 'one'", "'Convolutional'", "did you mean 'Convolution'"]),
        ("relu", ["'relu'", "did you mean 'ReLU'"]),
        ("Qwxyz", ["'Qwxyz'", "caffeflow layers"]),
        ("VideoData", ["'VideoData'", "camera or a video file", "images"]),
        ("", ["no type"]),
    ],
)
def test_a_type_outside_the_table_is_told_why(layer_type, words):
    with pytest.raises(UnsupportedLayerError) as caught:
        spec_for(LayerParameter(name="one", type=layer_type))
    for word in words:
        assert word in str(caught.value)


def test_losses_and_only_they_weigh_by_default():
    weighing = {name for name, spec in SPECS.items() if spec.default_loss_weight}
    assert weighing == {
        "ContrastiveLoss",
        "EuclideanLoss",
        "HingeLoss",
        "InfogainLoss",
        "MultiBoxLoss",
        "MultinomialLogisticLoss",
        "SigmoidCrossEntropyLoss",
        "SmoothL1Loss",
        "SoftmaxWithLoss",
    }
    assert weighing == {name for name, spec in SPECS.items() if spec.auto_tops}
