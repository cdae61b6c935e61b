"""The recipes that are shipped: which there are, what each must say, and that they train what their sources do."""

from __future__ import annotations

import re

import pytest

from caffeflow.errors import TemplateError
from caffeflow.proto.caffe_pb2 import NetParameter, SolverParameter
from caffeflow.proto.text import parse
from caffeflow.recipes.reading import folder
from caffeflow.recipes.recipe import Recipe
from caffeflow.recipes.shipped import find_recipe, recipes
from tests.golden.regenerate import recipe_texts

NETS = ("mobilenet-v1", "mobilenet-v2", "regnetx-800mf", "resnet50")
DATASETS = ("imagenet", "cifar10", "cifar100")
# (net, dataset): images an iteration, epochs, base_lr, weight decay, as their sources have them.
SOURCES = {
    ("mobilenet-v1", "imagenet"): (256, 100, 0.1, 1e-4),
    ("mobilenet-v2", "imagenet"): (256, 300, 0.045, 4e-5),
    ("resnet50", "imagenet"): (256, 90, 0.1, 1e-4),
    ("regnetx-800mf", "imagenet"): (1024, 100, 0.8, 5e-5),
    **{(net, dataset): (128, 200, 0.1, 5e-4) for net in NETS for dataset in ("cifar10", "cifar100")},
}
# Published for another net than the one that is trained.
NEAREST = {("mobilenet-v1", "cifar10"), ("regnetx-800mf", "cifar10"), ("regnetx-800mf", "cifar100")}


def test_there_is_one_for_each_net_and_dataset() -> None:
    assert [(recipe.net, recipe.name) for recipe in recipes()] == [
        (net, name) for net in NETS for name in DATASETS
    ]
    assert len(recipes()) == 12
    assert len(list(folder().glob("*.toml"))) == 13  # the datasets' own facts too


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: f"{recipe.net}.{recipe.name}")
class TestShipped:
    def test_says_where_its_numbers_and_its_accuracy_come_from(self, recipe: Recipe) -> None:
        assert recipe.path.name == f"{recipe.net}.{recipe.data.name}.toml"
        expected = recipe.expected
        assert expected is not None
        assert 60 < expected.top1 < 100
        assert expected.top5 is None or expected.top1 < expected.top5 < 100
        assert expected.data
        for source in (recipe.source, expected.source):
            assert re.match(r"[\w.-]+/[\w.-]+", source), source
        assert bool(expected.of) == ((recipe.net, recipe.name) in NEAREST)

    def test_the_solver_is_the_source_s(self, recipe: Recipe) -> None:
        texts = recipe_texts(recipe.net, recipe.name)
        solver = parse(texts["solver.prototxt"], SolverParameter(), source="solver")
        net = parse(texts["train_val.prototxt"], NetParameter(), source="net")
        assert net.name == recipe.net_name
        batch = net.layer[0].data_param.batch_size
        images, epochs, rate, decay = SOURCES[recipe.net, recipe.name]
        assert batch * max(solver.iter_size, 1) == images
        assert (solver.base_lr, solver.weight_decay) == pytest.approx((rate, decay))
        assert solver.momentum == pytest.approx(0.9)
        assert solver.max_iter * images / recipe.data.train == pytest.approx(epochs, rel=1e-4)
        sees_all = solver.test_iter[0] * net.layer[1].data_param.batch_size
        assert sees_all == recipe.data.val
        an_epoch = recipe.data.train / images
        steps = solver.stepvalue or ([solver.stepsize] if solver.lr_policy == "step" else [])
        assert [step / an_epoch for step in steps] == pytest.approx(list(recipe.step_epochs), rel=1e-3)

    def test_plain_caffe_s_script_says_what_it_leaves_out(self, recipe: Recipe) -> None:
        texts = recipe_texts(recipe.net, recipe.name)
        for name in ("train.sh", "solver.prototxt"):
            comment = " ".join(line.strip("# ") for line in texts[name].splitlines() if line.startswith("#"))
            for words in recipe.options.words:
                assert words in comment, name
            assert f"--recipe {recipe.name}" in comment


def test_all_have_their_source_s_figures_here() -> None:
    assert set(SOURCES) == {(recipe.net, recipe.name) for recipe in recipes()}


@pytest.mark.parametrize(
    ("asked", "known", "words"),
    [
        ("imagnet", recipes()[:3], "no recipe 'imagnet' for net 'x'; did you mean 'imagenet'?"),
        ("kitti", recipes()[:3], "there are imagenet, cifar10, cifar100, or give a file"),
        (
            "imagenet",
            [],
            "net 'x' has no recipes; they are for mobilenet-v1, mobilenet-v2, regnetx-800mf, resnet50",
        ),
    ],
)
def test_an_unknown_recipe_is_answered(asked: str, known: list[Recipe], words: str) -> None:
    with pytest.raises(TemplateError) as caught:
        find_recipe(asked, known, owner="net 'x'")
    assert words in str(caught.value)
