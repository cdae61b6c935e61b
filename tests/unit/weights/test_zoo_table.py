"""The table of published models: complete, consistent, and its nets are those that are rendered."""

from __future__ import annotations

import math
import tomllib

import pytest

from caffeflow import resources
from caffeflow.errors import WeightsError
from caffeflow.render.catalog import find_net
from caffeflow.weights.zoo import ZooModel, find_model, model_named, zoo_models
from caffeflow.workflows.zoo_files import net_shapes

DIGITS = {"sha1": 40, "sha256": 64, "sha384": 96}
WITH_NET = [model for model in zoo_models() if model.net]


def test_the_table_has_so_many_models() -> None:
    assert len(zoo_models()) == 18
    assert len(WITH_NET) == 8


@pytest.mark.parametrize("model", zoo_models(), ids=lambda model: model.name)
def test_an_entry_is_complete(model: ZooModel) -> None:
    assert model.addresses
    assert all(address.startswith(("https://", "http://")) for address in model.addresses)
    assert len(set(model.addresses)) == len(model.addresses)
    assert model.source
    assert model.licence
    assert model.file.endswith(".caffemodel")
    assert "/" not in model.file
    for algorithm, digest in model.checksums.items():
        assert len(digest) == DIGITS[algorithm]
        assert set(digest) <= set("0123456789abcdef")
    assert bool(model.checksums) == bool(model.checksums_source)
    assert model.net or model.prototxt
    for part in (model.input, model.accuracy):
        assert part is None or part.source
    if model.input is not None:
        assert sorted(model.input.colours) == ["B", "G", "R"]
        assert len(model.input.mean) == 3 or model.input.mean_image


def test_no_two_models_share_a_name_a_file_or_a_checksum() -> None:
    names = [name for model in zoo_models() for name in (model.name, *model.aliases)]
    assert len({name.casefold() for name in names}) == len(names)
    assert len({model.file for model in zoo_models()}) == len(zoo_models())
    digests = [digest for model in zoo_models() for digest in model.checksums.values()]
    assert len(set(digests)) == len(digests)


def test_only_one_model_has_no_published_checksum() -> None:
    assert [model.name for model in zoo_models() if not model.checksums] == ["ssd300-voc"]


@pytest.mark.parametrize("model", WITH_NET, ids=lambda model: model.name)
def test_an_entry_names_the_net_that_renders_with_the_published_layers(model: ZooModel) -> None:
    name, _, variant = model.net.partition(":")
    net = find_net(name, variant or None)
    assert net.published is not None
    published = list(net.published.layers)
    if model.name == "mobilenet-ssd-voc-deploy":  # its BatchNorms are merged into the convolutions
        published = [layer for layer in published if not layer.endswith(("/bn", "/scale"))]
    else:
        assert net.published.model == model.file
    assert sorted(net_shapes(model)) == sorted(published)
    if net.expected is not None and model.accuracy is not None:
        assert (net.expected.top1, net.expected.top5) == (model.accuracy.top1, model.accuracy.top5)
        assert net.expected.mean_ap == model.accuracy.mean_ap


@pytest.mark.parametrize("model", [m for m in WITH_NET if m.size], ids=lambda model: model.name)
def test_the_published_size_is_that_of_the_nets_values(model: ZooModel) -> None:
    """A caffemodel holds four bytes a value, and names, settings and perhaps diffs beside them."""
    values = sum(math.prod(shape) for shapes in net_shapes(model).values() for shape in shapes)
    assert model.size is not None
    assert 4 * values < model.size < 4 * values * 1.01 + 60_000


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("vgg16", "vgg16"),
        ("VGG-16", "vgg16"),
        ("VGG_ILSVRC_16_layers", "vgg16"),
        ("mobilenet_v2.caffemodel", "mobilenet-v2"),
        ("resnet50", "resnet50"),
        ("resnet50:he", "resnet50"),
        ("mobilenet-ssd-voc", "mobilenet-ssd-voc"),
    ],
)
def test_a_model_is_found_by_name_file_or_net(text: str, name: str) -> None:
    model = find_model(text)
    assert model is not None
    assert model.name == name


def test_an_unknown_model_is_answered_with_the_nearest() -> None:
    assert find_model("resnet50:torchvision") is None
    with pytest.raises(WeightsError, match="no model 'mobilenet-v3'; did you mean 'mobilenet-v"):
        model_named("mobilenet-v3")


def test_the_table_says_no_more_than_is_read() -> None:
    table = tomllib.loads(resources.zoo_table().read_text(encoding="utf-8"))
    assert set(table) == {"model"}
    assert len(table["model"]) == len(zoo_models())
