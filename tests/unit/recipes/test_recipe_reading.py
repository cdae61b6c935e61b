"""A recipe's file: what is read of it, and how each fault is told with the file and the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.errors import TemplateError
from caffeflow.recipes.reading import read_recipe
from caffeflow.recipes.recipe import Recipe

WHOLE = """
net = "resnet50"
net_name = "ResNet-50"
variant = "torchvision"
dataset = "cifar10"
epochs = 20
step_epochs = [5, 12.5]
source = "a paper"
notes = ["not as there"]

[expected]
top1 = 93.5
top5 = 99
data = "the test images"
source = "its table 2"

[variables.solver]
base_lr = 0.1

[variables.net]
strides = [1, 2, 2, 2]

[train]
lr_policy = "cosine"
warmup_epochs = 2.5
label_smoothing = 0.1
augment = "inception"
rand_scale = [0.5, 1]
color_jitter = 0.4
"""


def read(folder: Path, text: str) -> Recipe:
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return read_recipe(file, name="mine")


def test_everything_is_read(tmp_path: Path) -> None:
    recipe = read(tmp_path, WHOLE)
    assert (recipe.net, recipe.net_name, recipe.variant) == ("resnet50", "ResNet-50", "torchvision")
    assert (recipe.data.name, recipe.data.train, recipe.data.classes) == ("cifar10", 50000, 10)
    assert (recipe.epochs, recipe.step_epochs) == (20, (5, 12.5))
    assert recipe.variables == {"solver.base_lr": 0.1, "net.strides": [1, 2, 2, 2]}
    assert recipe.expected is not None
    assert recipe.expected.words == "93.5 / 99"
    assert recipe.options.words == (
        "--augment inception", "--rand-scale 0.5 1", "--color-jitter 0.4", "--label-smoothing 0.1",
        "--lr-policy cosine", "--warmup for 2.5 epochs",
    )  # fmt: skip


@pytest.mark.parametrize(("max_iter", "warmup"), [(2000, 250), (30, 4), (1, 0)])
def test_the_warm_up_keeps_its_share_of_the_training(tmp_path: Path, max_iter: int, warmup: int) -> None:
    assert read(tmp_path, WHOLE).warmup(max_iter) == warmup


def test_a_long_warm_up_leaves_something_of_a_short_training(tmp_path: Path) -> None:
    recipe = read(tmp_path, WHOLE.replace("warmup_epochs = 2.5", "warmup_epochs = 19.5"))
    assert [recipe.warmup(iterations) for iterations in (0, 1, 2, 40)] == [0, 0, 1, 39]


def test_a_recipe_of_one_s_own_needs_no_accuracy_and_no_options(tmp_path: Path) -> None:
    recipe = read(tmp_path, WHOLE[: WHOLE.index("[expected]")])
    assert recipe.expected is None
    assert recipe.options.words == ()
    assert recipe.warmup(100) == 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("epochs = 20", "epoch = 20", "epoch: unknown key; did you mean 'epochs'?"),
        ("epochs = 20", "", "epochs: is missing"),
        ("epochs = 20", "epochs = 0", "epochs: 0 is not a number above 0"),
        ("epochs = 20", "epochs = inf", "epochs: inf is not a number above 0"),
        ("epochs = 20", f"epochs = {10**400}", "000 is not a number above 0"),
        ("epochs = 20", f"epochs = 1{'0' * 5000}", "mine.toml: has a number of thousands of digits"),
        ("epochs = 20", "epochs = true", "epochs: True is not a number above 0"),
        ("epochs = 20", 'epochs = "20"', "epochs: '20' is not a number above 0"),
        ("[5, 12.5]", "[5, 20]", "step_epochs: 20 is not before the end, epochs = 20"),
        ("[5, 12.5]", "[5, 5]", "step_epochs: [5, 5] is not a list of rising numbers above 0"),
        ("[5, 12.5]", "[]", "step_epochs: [] is not a list of rising numbers"),
        ('"cifar10"', '"cifar"', "dataset: 'cifar' is not one of imagenet, cifar10, cifar100"),
        ('source = "a paper"', "", "source: is missing"),
        ('["not as there"]', '"not as there"', "notes: 'not as there' is not a list of texts"),
        ("top1 = 93.5", "", "expected.top1: is missing"),
        ("top1 = 93.5", "top1 = 935", "expected.top1: 935 is not a number from 0 to 100"),
        ("top5 = 99", "top_5 = 99", "expected.top_5: unknown key; did you mean 'top5'?"),
        ("[variables.solver]", "[variables.solvers]", "variables.solvers: unknown key; did you mean 'solver'?"),
        ("[variables.solver]\nbase_lr = 0.1", "[variables]\nbase_lr = 0.1", "variables.base_lr: unknown key"),
        ('"cosine"', '"cosin"', "train.lr_policy: 'cosin' is not one of cosine"),
        ("warmup_epochs = 2.5", "warmup_epochs = 20", "train.warmup_epochs: 20 is not before the end"),
        ("warmup_epochs", "warmup", "train.warmup: unknown key; did you mean 'warmup_epochs'?"),
        ("label_smoothing = 0.1", "label_smoothing = 1", "train.label_smoothing: 1 is not a number from 0 to below 1"),
        ('"inception"', '"ssd"', "train.augment: 'ssd' is not one of crop, inception"),
        ("[0.5, 1]", "[1, 0.5]", "train.rand_scale: [1, 0.5] is not two shares of a picture"),
        ("[0.5, 1]", "0.5", "train.rand_scale: 0.5 is not two shares of a picture"),
        ("color_jitter = 0.4", "color_jitter = true", "train.color_jitter: True is not a number above 0"),
        ("color_jitter = 0.4", "colour_jitter = 0.4", "train.colour_jitter: unknown key; did you mean 'color_jitter'?"),
        ("[train]", "[train", "Expected ']'"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_file_and_key(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert WHOLE.count(old) == 1
    with pytest.raises(TemplateError) as caught:
        read(tmp_path, WHOLE.replace(old, new))
    assert str(caught.value).startswith(f"{tmp_path}/mine.toml: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_nested_without_end(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"mine\.toml: is nested too deeply"):
        read(tmp_path, "net = " + "[" * 100_000)


def test_a_file_that_is_not_there_or_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"mine\.toml: cannot read the recipe: No such file"):
        read_recipe(tmp_path / "mine.toml", name="mine")
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(TemplateError, match=r"mine\.toml: 'utf-8' codec"):
        read_recipe(tmp_path / "mine.toml", name="mine")
