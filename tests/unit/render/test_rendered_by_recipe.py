"""A net rendered by a recipe: its values as defaults, its epochs as iterations, and what is given before both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caffeflow.errors import TemplateError
from caffeflow.recipes.reading import read_recipe
from caffeflow.render.catalog import find_net
from caffeflow.render.dataset import Dataset, stand_in
from caffeflow.render.recipe import find_net_by_recipe, recipes_of, with_recipe
from caffeflow.render.render import resolve
from caffeflow.render.resolve import Places, Resolution
from tests.golden import regenerate

PLACES = Places(out_dir=Path("models/x"), working_dir=Path("/here"))
OWN = """
net = "mobilenet-v1"
net_name = "MOBILENET"
dataset = "cifar10"
epochs = 12
step_epochs = [3, 6]
source = "a paper"
[variables.solver]
lr_policy = "multistep"
gamma = 0.5
"""


def dataset(train: int, size: int = 32) -> Dataset:
    return Dataset(
        name="pets", folder=Path("data/pets"), backend="lmdb", is_encoded=True, channels=3, height=size, width=size,
        classes=7, train_count=train, val_count=300, mean_values=(101.5, 102.5, 103.5),
    )  # fmt: skip


def resolved(
    net: str, recipe: str, *, train: int | None = None, variant: str | None = None, **given: str
) -> Resolution:
    found = find_net_by_recipe(net, variant, recipe)
    data = stand_in(found, Path("data")) if train is None else dataset(train)
    return resolve(found, data, PLACES, given)


@pytest.mark.parametrize(("net", "recipe"), regenerate.BY_RECIPE)
def test_texts_are_the_golden_ones(net: str, recipe: str) -> None:
    for name, text in regenerate.recipe_texts(net, recipe).items():
        assert (regenerate.RECIPES / f"{net}.{recipe}.{name}").read_text() == text, name


def test_the_golden_folder_holds_nothing_else() -> None:
    assert len(list(regenerate.RECIPES.iterdir())) == 3 * len(regenerate.BY_RECIPE) == 6


def test_without_a_dataset_the_published_one_stands_in() -> None:
    resolution = resolved("resnet", "cifar100")
    assert resolution.dataset.name == "cifar100"
    assert (resolution["net.classes"], resolution["solver.max_iter"]) == (100, 78125)
    assert resolution["solver.stepvalue"] == (23438, 46875, 62500)


def test_lengths_follow_the_dataset_s_count() -> None:
    resolution = resolved("resnet50", "cifar100", train=1280)
    assert (resolution["solver.max_iter"], resolution["solver.stepvalue"]) == (2000, (600, 1200, 1600))
    assert resolution["net.classes"] == 7
    assert resolution.origins["solver.stepvalue"] == "recipe cifar100: 60, 120, 160 epochs"


@pytest.mark.parametrize(
    ("given", "iterations", "steps"),
    [
        ({"epochs": "100"}, 1000, (300, 600, 800)),
        ({"max_iter": "50"}, 50, (15, 30, 40)),
        ({"batch_size": "64"}, 4000, (1200, 2400, 3200)),
        ({"stepvalue": "7,9"}, 2000, (7, 9)),
    ],
)
def test_steps_keep_their_place_unless_they_are_given(
    given: Any, iterations: int, steps: tuple[int, ...]
) -> None:
    resolution = resolved("resnet50", "cifar100", train=1280, **given)
    assert (resolution["solver.max_iter"], resolution["solver.stepvalue"]) == (iterations, steps)


def test_another_policy_leaves_the_recipe_s_steps_out() -> None:
    resolution = resolved("resnet50", "cifar100", train=1280, lr_policy="step")
    assert (resolution["solver.stepsize"], resolution["solver.gamma"]) == (666, 0.1)


def test_what_is_given_wins_over_the_recipe_and_the_recipe_over_small_inputs() -> None:
    assert resolved("mobilenet-v2", "cifar100")["net.strides"] == (1, 2, 2, 2, 1)
    assert resolved("mobilenet-v2", "cifar100", strides="1,1,1,2,2")["net.strides"] == (1, 1, 1, 2, 2)
    assert resolved("mobilenet-v2", "cifar100", base_lr="0.3")["solver.base_lr"] == 0.3


def test_the_variant_is_the_recipe_s_unless_it_is_given_and_the_figure_is_for_it_alone() -> None:
    assert resolved("resnet50", "cifar10").net.variant == "torchvision"
    assert resolved("resnet50", "cifar10").net.expected is not None
    other = resolved("resnet50", "cifar10", variant="he")
    assert (other.net.variant, other.net.expected) == ("he", None)


def test_a_figure_of_another_net_is_not_expected() -> None:
    assert resolved("mobilenet-v1", "cifar10").net.expected is None


def test_nets_without_recipes_have_none() -> None:
    assert recipes_of("lenet") == ()
    assert [recipe.name for recipe in recipes_of("regnetx-800mf")] == ["imagenet", "cifar10", "cifar100"]
    with pytest.raises(TemplateError, match="net 'lenet' has no recipes"):
        find_net_by_recipe("lenet", None, "imagenet")


def test_a_file_of_one_s_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(OWN)
    resolution = resolved("mobilenet", str(file), train=640, batch_size="32")
    assert (resolution["solver.max_iter"], resolution["solver.stepvalue"]) == (240, (60, 120))
    with pytest.raises(TemplateError, match="is for net 'mobilenet-v1', not for 'resnet50'"):
        find_net_by_recipe("resnet50", None, str(file))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "gama = 0.5",
            r"variables\.solver\.gama: net 'mobilenet-v1' has no variable 'solver\.gama'; did you mean",
        ),
        ('base_lr = "fast"', r"variables\.solver\.base_lr: solver\.base_lr: 'fast' is not a number"),
        ("base_lr = nan", r"variables\.solver\.base_lr: solver\.base_lr: nan is not a number"),
        ("base_lr = true", r"variables\.solver\.base_lr: solver\.base_lr: True is not a number"),
        (
            'iter_size = "auto"',
            r"variables\.solver\.iter_size: solver\.iter_size: 'auto' is not a whole number",
        ),
        ("iter_size = 1.5", r"variables\.solver\.iter_size: solver\.iter_size: 1\.5 is not a whole number"),
        ("type = 7", r"variables\.solver\.type: solver\.type: 7 is not a text"),
        (
            "[variables.data]\nmirror = 1",
            r"variables\.data\.mirror: data\.mirror: 1 is not true or false",
        ),
        (
            "[variables.net]\ninput_size = [32]",
            r"variables\.net\.input_size: net\.input_size: \[32\] is not a size",
        ),
        (
            '[variables.net]\nstrides = [1, "2"]',
            r"variables\.net\.strides: net\.strides: \[1, '2'\] is not a list of whole numbers",
        ),
        ("base_lr = -1", r"variables\.solver\.base_lr: solver\.base_lr: -1\.0 is too small"),
        (
            'type = "SDG"',
            r"variables\.solver\.type: solver\.type: 'SDG' is not allowed; .* did you mean 'SGD'",
        ),
    ],
)
def test_its_variables_are_checked_with_file_and_key(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(OWN + line)
    with pytest.raises(TemplateError, match=rf"mine\.toml: {words}"):
        with_recipe(find_net("mobilenet-v1"), read_recipe(file, name="mine"))
