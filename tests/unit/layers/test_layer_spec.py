"""The table of layer types, and what a type outside it is told."""

from __future__ import annotations

from collections import defaultdict

import pytest

from caffeflow.errors import UnsupportedLayerError
from caffeflow.layers.spec import SPECS, LayerSpec, no_params, register, same_shape, spec_for
from caffeflow.layers.unsupported import UNSUPPORTED
from caffeflow.proto import forks
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.report.layer_facts import layer_entries
from tests.support.every_layer_case import CASES

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
        ("ROIPooling", ["'ROIPooling'", "Fast R-CNN", "Python layer"]),
        ("BN", ["'BN'", "caffe-segnet", "BatchNorm and Scale"]),
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


def test_no_type_is_in_two_lists_of_trees():
    assert not set(forks._FOREIGN) & {*SPECS, *UNSUPPORTED, *forks._TREES}
    assert set(forks._INSTEAD) <= set(forks._FOREIGN)
    assert set(forks._TREES) == {*SSD, *DEPTHWISE}


def test_learned_blobs_are_called_what_the_spec_says():
    """The union of all battery cases of a type has every name, in that order."""
    found = defaultdict(list)
    for case in CASES:
        facts = case.facts
        names = [blob.name for blob in facts.blobs]
        assert [name for name in facts.spec.learns if name in names] == names or case.type == "Python"
        found[case.type] += names
    for name, spec in SPECS.items():
        if name != "Python":
            assert set(found[name]) == set(spec.learns), name


def test_settings_are_what_is_read():
    """A layer is read through a proxy that notes which messages are looked into."""
    own = {entry.type: set(entry.settings) for entry in layer_entries() if entry.runs}
    for case in CASES:
        seen = set()
        SPECS[case.type].read(_Noting(case.facts.node.layer, seen))
        assert seen <= own[case.type], (case.id, seen)


class _Noting:
    """A layer's message that notes the names of the settings that are asked for."""

    def __init__(self, layer, seen):
        self._layer = layer
        self._seen = seen

    def __getattr__(self, name):
        if name.endswith("_param"):
            self._seen.add(name)
        return getattr(self._layer, name)
