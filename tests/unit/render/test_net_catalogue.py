"""The catalogue: what there is, how it is found, and layer names as published."""

from __future__ import annotations

import pytest

from caffeflow.errors import TemplateError
from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.legacy import upgrade_net
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import parse
from caffeflow.render.catalog import find_net, net_names, solver_type_defaults
from caffeflow.render.render import render_in_memory
from caffeflow.render.rules_data import record_size
from caffeflow.render.variables import AUTO

NAMES = [
    "caffenet", "cifar10-quick", "lenet", "mobilenet-ssd-voc", "mobilenet-v1", "mobilenet-v2",
    "regnetx-400mf", "regnetx-800mf", "regnetx-1.6gf", "regnetx-3.2gf", "resnet50",
    "ssd-small", "ssd300-voc", "ssdlite-coco", "ssdlite-voc", "vgg16",
]  # fmt: skip
PUBLISHED = [
    "caffenet", "cifar10-quick", "lenet", "mobilenet-ssd-voc", "mobilenet-v1", "mobilenet-v2", "resnet50",
    "ssd300-voc", "ssdlite-coco", "ssdlite-voc", "vgg16",
]  # fmt: skip
# Whose weights are published without a figure measured with them, and what is not published at all.
WITHOUT_FIGURE = ["ssd-small", "ssdlite-coco", "ssdlite-voc"]
# Whose published deploy file has BatchNorm folded into the convolutions, as --set net.deploy_bn=false renders it.
FOLDED = "mobilenet-ssd-voc"


def test_the_catalogue_has_these_nets() -> None:
    assert net_names() == NAMES
    assert len(NAMES) == 16


@pytest.mark.parametrize("name", NAMES)
def test_every_net_says_what_it_is_and_where_its_numbers_come_from(name: str) -> None:
    net = find_net(name)
    assert net.title
    assert net.recipe
    assert (net.expected is None) == (name in WITHOUT_FIGURE)
    if net.expected is not None:
        assert net.expected.source
        assert 50 < (net.expected.top1 or net.expected.mean_ap or 0) < 100
    by_name = {variable.name: variable for variable in net.variables}
    assert by_name["net.input_size"].default != AUTO
    assert {by_name["solver.max_iter"].default, by_name["solver.epochs"].default} != {AUTO}
    for variable in net.variables:
        assert variable.help.endswith("."), variable.name
        assert variable.source, variable.name


def test_a_net_is_found_by_aliases_in_any_case() -> None:
    found = {
        alias: find_net(alias).name
        for alias in (
            "LeNet",
            "bvlc_reference_caffenet",
            "VGG_ILSVRC_16_layers",
            "mobilenet",
            "ResNet-50",
            "regnetx",
        )
    }
    assert list(found.values()) == ["lenet", "caffenet", "vgg16", "mobilenet-v1", "resnet50", "regnetx-400mf"]


def test_a_template_of_several_nets_finds_them_by_variant() -> None:
    assert find_net("regnetx", "1.6gf").name == "regnetx-1.6gf"


@pytest.mark.parametrize(
    ("name", "near"), [("lenett", "lenet"), ("resnet5", "resnet50"), ("vgg_16", "vgg16")]
)
def test_an_unknown_net_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(TemplateError, match=f"no net '{name}'; did you mean '{near}'"):
        find_net(name)


def test_a_name_near_nothing_is_answered_with_the_list() -> None:
    with pytest.raises(TemplateError, match="there are caffenet, cifar10-quick"):
        find_net("yolo")


@pytest.mark.parametrize(
    ("net", "variant", "words"),
    [
        ("resnet50", "torchvisio", "did you mean 'torchvision'"),
        ("resnet50", "x", "it has he, torchvision"),
        ("lenet", "x", "it has no variants"),
    ],
)
def test_an_unknown_variant_is_answered(net: str, variant: str, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        find_net(net, variant)


@pytest.mark.parametrize("name", PUBLISHED)
def test_layers_with_weights_are_named_and_ordered_as_published(name: str) -> None:
    net = find_net(name)
    assert net.published is not None
    rendered = render_in_memory(name)
    size = record_size(rendered.resolution)
    for stage, phases in net.task.stages.items():
        message = parse(rendered.texts[f"{stage}.prototxt"], NetParameter(), source=name)
        upgrade_net(message)
        graph = build_graph(filter_net(message, net_state(phases[-1])))
        shapes = infer(graph, record_shape=lambda _: (net.dataset.channels, *size))
        expected = [
            layer
            for layer in net.published.layers
            if not (name == FOLDED and stage == "deploy" and layer.endswith(("/bn", "/scale")))
        ]
        assert [layer.name for layer in shapes.layers if layer.blobs] == expected, stage


def test_which_nets_have_a_published_caffe_model() -> None:
    assert [name for name in NAMES if find_net(name).published] == PUBLISHED
    assert find_net("mobilenet-v2", "paper").published is None
    assert find_net("resnet50", "torchvision").published is None


def test_solver_types_other_than_the_recipe_s_bring_their_own_rate() -> None:
    defaults, source = solver_type_defaults("Adam")
    assert defaults["solver.base_lr"] == 0.001
    assert "lenet_solver_adam" in source
    assert solver_type_defaults("Nesterov") == ({}, "")
