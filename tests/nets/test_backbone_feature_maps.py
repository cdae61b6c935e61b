"""The backbone of every detection net computes what the classification net computes whose weights it takes.

Both are cut where the backbone ends, the classification net gets random weights, calibrated, with random
biases and scales, and both see the same input. Where the published detection net pads as TensorFlow does,
it is rendered with --padding caffe: TensorFlow's rule shifts every feature map, so the graphs differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from caffeflow.engine.calibration import calibrate
from caffeflow.engine.net import Net
from caffeflow.engine.synthetic import synthetic_feeds
from caffeflow.engine.training import FusedExecutor
from caffeflow.proto.binary import LayerArrays
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.render.backbone import Backbone
from caffeflow.render.catalog import find_net, net_names
from caffeflow.weights.initial import initial_arrays
from caffeflow.workflows.backbone import map_backbone_of
from caffeflow.workflows.open_net import Ask, OpenedNet, open_net
from tests.support.pictures import photo

TOLERANCE = 1e-4  # of the largest value
SIDE = "100"  # halves to odd sides, where rounding shows
LITE = {"padding": "caffe"}


@dataclass(frozen=True)
class Case:
    """A detection net, the blob where its backbone ends, and the same blob of the classification net."""

    net: str
    end: str
    classifier_end: str
    counts: Mapping[str, int]
    settings: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([self.net, *(f"{name}={value}" for name, value in self.settings.items())])


NORMALISED = {"copied": 156}  # 52 convolutions, each with BatchNorm and Scale
CASES = [
    Case("ssdlite-coco", "Conv_1", "conv6_4/bn", {"folded": 52}, LITE),
    Case("ssdlite-coco", "Conv_1", "conv6_4/bn", NORMALISED, LITE | {"bn": "true"}),
    Case("ssdlite-coco", "Conv_1", "conv6_4/bn", {"folded": 52}, LITE | {"activation": "clip"}),
    Case("ssdlite-voc", "Conv_1", "conv6_4/bn", {"folded": 52}, LITE),
    Case("mobilenet-ssd-voc", "conv13", "conv6/sep", {"folded": 27}),
    Case("mobilenet-ssd-voc", "conv13", "conv6/sep", {"copied": 81}, {"deploy_bn": "true"}),
    Case("mobilenet-ssd-voc", "conv13", "conv6/sep", {"folded": 27}, {"width": "0.5"}),
    Case("ssd300-voc", "conv5_3", "conv5_3", {"copied": 13, "converted": 2}),
]


def test_every_detection_net_is_here() -> None:
    assert {case.net for case in CASES} == {name for name in net_names() if find_net(name).backbone}
    assert len({case.net for case in CASES}) == 4


def backbone_of(case: Case) -> Backbone:
    backbone = find_net(case.net).backbone
    assert backbone is not None
    return backbone


def until(opened: OpenedNet, blob: str) -> OpenedNet:
    """A net up to the last layer that writes a blob."""
    last = max(node.index for node in opened.graph.nodes if blob in node.layer.top)
    net = NetParameter()
    net.CopyFrom(opened.net)
    del net.layer[last + 1 :]
    return replace(opened, net=net, graph=build_graph(net))


def classifier(case: Case) -> OpenedNet:
    settings = {"input_size": SIDE}
    if "width" in case.settings:
        settings["width"] = case.settings["width"]
    opened = open_net(Ask(net=backbone_of(case).classifier, batch_size=4, assignments=settings))
    return until(opened, case.classifier_end)


def shaken(layer: LayerArrays, rng: np.random.Generator) -> LayerArrays:
    """Moves biases from 0 and scales from 1, where a slip would not show."""
    if layer.type == "BatchNorm":
        return layer
    moved = [a if a.ndim > 1 else a + rng.uniform(-0.4, 0.4, a.shape) for a in layer.arrays]
    return replace(layer, arrays=tuple(array.astype(np.float32) for array in moved))


def random_weights(opened: OpenedNet) -> list[LayerArrays]:
    net = Net(opened.graph, opened.shapes(), seed=None)
    rng = np.random.default_rng(5)
    net.load([shaken(layer, rng) for layer in initial_arrays(opened.shapes(), seed=3)])
    calibrate(net, [synthetic_feeds(net, seed=seed) for seed in range(2)])
    return net.arrays()


def fully_connected() -> list[LayerArrays]:
    """VGG16's fc6 and fc7, which its convolutions do not need, as arrays that take no memory."""
    shapes = {"fc6": (4096, 512 * 7 * 7), "fc7": (4096, 4096)}
    value = np.float32(0.25)
    return [
        LayerArrays(
            name, "InnerProduct", (), (), (np.broadcast_to(value, shape), np.broadcast_to(value, shape[:1]))
        )
        for name, shape in shapes.items()
    ]


def feature_map(opened: OpenedNet, layers: list[LayerArrays], blob: str, images: torch.Tensor) -> np.ndarray:
    net = Net(opened.graph, opened.shapes(), seed=None)
    net.load(layers)
    (fed,) = net.fed
    made: np.ndarray = FusedExecutor(net, keep=[blob]).forward({fed.name: (images,)}).outputs[blob].numpy()
    return made


def inputs() -> Mapping[str, torch.Tensor]:
    """Noise, patches with grain, and a picture: as a net sees them, centred and of order 1."""
    side = int(SIDE)
    rng = np.random.default_rng(11)
    noise = rng.normal(size=(4, 3, side, side))
    picture = np.stack([np.roll(photo(side, side), 7 * turn, axis=1) for turn in range(4)])
    centred = (picture.transpose(0, 3, 1, 2) - 127.5) / 58
    coarse = np.kron(rng.uniform(-2, 2, (4, 3, 5, 5)), np.ones((1, 1, side // 5, side // 5)))
    every = {"noise": noise, "picture": centred, "patches": coarse + 0.3 * noise}
    return {name: torch.from_numpy(values.astype(np.float32)) for name, values in every.items()}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_feature_maps_are_those_of_the_classification_net(case: Case) -> None:
    there = classifier(case)
    weights = random_weights(there)
    file = weights + (fully_connected() if case.net == "ssd300-voc" else [])
    settings = {"input_size": "300", **case.settings}
    mapped = map_backbone_of(open_net(Ask(net=case.net, assignments=settings)), backbone_of(case), file)
    counts = {how: sum(row.how == how for row in mapped.rows) for how in {row.how for row in mapped.rows}}
    assert counts == case.counts

    here = until(open_net(Ask(net=case.net, assignments=settings, batch_size=4)), case.end)
    learning = {facts.name for facts in here.shapes().layers if facts.blobs}
    assert learning <= {row.layer for row in mapped.rows}, "a backbone layer was not filled"
    layers = [layer for layer in mapped.layers if layer.name in learning]
    for name, images in inputs().items():
        wanted = feature_map(there, weights, case.classifier_end, images)
        found = feature_map(at_size(here), layers, case.end, images)
        assert found.shape == wanted.shape
        assert wanted.std() > 0.05, "a map that hardly changes compares as equal whatever the weights"
        error = np.abs(found - wanted).max() / np.abs(wanted).max()
        print(f"{case} on {name}: largest difference {error:.1e} of the largest value")
        assert error < TOLERANCE


def at_size(opened: OpenedNet) -> OpenedNet:
    """The net for the small images of the test; a whole SSD net needs larger ones."""
    net = NetParameter()
    net.CopyFrom(opened.net)
    net.layer[0].input_param.shape[0].dim[2:] = [int(SIDE)] * 2
    return replace(opened, net=net, graph=build_graph(net))


def test_tensorflows_padding_is_another_graph() -> None:
    case = Case("ssdlite-coco", "Conv_1", "conv6_4/bn", {})
    there = classifier(case)
    weights = random_weights(there)
    mapped = map_backbone_of(open_net(Ask(net=case.net)), backbone_of(case), weights)
    here = at_size(until(open_net(Ask(net=case.net, batch_size=4)), case.end))
    images = inputs()["picture"]
    wanted = feature_map(there, weights, case.classifier_end, images)
    names = {facts.name for facts in here.shapes().layers if facts.blobs}
    found = feature_map(here, [each for each in mapped.layers if each.name in names], case.end, images)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() > 100 * TOLERANCE * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("net", "first_new"),
    [
        ("ssdlite-coco", "layer_19_1_2"),
        ("ssdlite-voc", "layer_19_1_2"),
        ("mobilenet-ssd-voc", "conv14_1"),
        ("ssd300-voc", "conv6_1"),
    ],
)
def test_the_net_that_trains_is_filled_up_to_the_end_of_its_backbone(net: str, first_new: str) -> None:
    backbone = find_net(net).backbone
    assert backbone is not None
    opened = open_net(Ask(net=backbone.classifier))
    file = [
        LayerArrays(
            facts.name, facts.spec.type, (), (),
            tuple(np.broadcast_to(np.float32(1), blob.shape) for blob in facts.blobs),
        )
        for facts in opened.shapes().layers
    ]  # fmt: skip
    detector = open_net(Ask(net=net, phase="TRAIN", record=(3, 300, 300)))
    mapped = map_backbone_of(detector, backbone, file)
    order = [facts.name for facts in detector.shapes().layers if facts.blobs]
    at = order.index(first_new)
    assert sorted(row.layer for row in mapped.rows) == sorted(order[:at])
    assert list(mapped.new) == order[at:]
    assert mapped.unused == ("fc8" if backbone.net == "vgg16" else "fc7",), (
        "the classifier's last layer alone"
    )
