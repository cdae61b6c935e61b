"""A recipe from `render` to `train`: made pictures, the commands as typed, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.report.log import read_log

MINE = """
net = "mobilenet-v1"
net_name = "MOBILENET"
dataset = "cifar10"
epochs = 8
source = "made up for a test"
[variables.net]
width = 0.25
[variables.data]
batch_size = 3
test_batch_size = 3
[variables.solver]
base_lr = 0.01
lr_policy = "poly"
power = 1.0
iter_size = 1
display = 1
[train]
lr_policy = "cosine"
warmup_epochs = 2
label_smoothing = 0.2
augment = "crop"
color_jitter = 0.3
"""


@pytest.fixture
def rendered(capsys: pytest.CaptureFixture[str]) -> Callable[..., Path]:
    """Prepares pictures, renders MobileNet v1 by a recipe of our own, and returns its solver."""

    def render(*options: str) -> Path:
        draw_pictures(Path("pictures"), "cat", "dog")
        Path("mine.toml").write_text(MINE)
        assert run(["prepare", "folder", "pictures", "--name", "pets", "--val-fraction", "0.5"]) == 0
        assert run(["render", "mobilenet-v1", "--recipe", "mine.toml", *options]) == 0
        solver = Path("models/mobilenet-v1/solver.prototxt")
        assert f"next: caffeflow train --solver {solver} --recipe mine.toml" in capsys.readouterr().out
        return solver

    return render


def draw_pictures(folder: Path, *kinds: str) -> None:
    rng = np.random.default_rng(3)
    for kind in kinds:
        (folder / kind).mkdir(parents=True)
        for number in range(6):
            picture = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / kind / f"{number}.png"), picture)


def refused(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> str:
    assert run(arguments) == code
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1, error
    assert not Path("runs").exists()
    return error


@pytest.mark.slow
def test_a_net_is_trained_by_its_recipe(
    rendered: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    rendered("--cpu", "--set", "solver.random_seed=5")
    assert run(["train", "--recipe", "mine.toml", "--color-jitter", "0.1"]) == 0
    record = json.loads(Path("runs/mobilenet-v1-001/run.json").read_text())["settings"]
    assert record["augmentation"] == {"augment": "crop", "rand_scale": None, "color_jitter": 0.1}
    taken = {name: record[name] for name in ("recipe", "lr_policy", "warmup", "label_smoothing")}
    assert taken == {"recipe": "mine.toml", "lr_policy": "cosine", "warmup": 4, "label_smoothing": 0.2}
    rows = read_log(Path("runs/mobilenet-v1-001/caffe.log"))[-1].train
    # 6 pictures to train from, 3 an iteration: 8 epochs are 16 iterations, of which 4 warm up.
    rates = {row.iteration: row.lr for row in rows}
    assert [rates[n] for n in range(4)] == pytest.approx([0.0025, 0.005, 0.0075, 0.01], rel=1e-5)
    assert rates[10] == pytest.approx(0.005, rel=1e-5)
    capsys.readouterr()
    assert run(["train", "--resume", "--recipe", "mine.toml"]) == 2
    assert "it takes no --recipe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ([], None),
        (["--rand-scale", "0.5", "1"], {"augment": None, "rand_scale": [0.5, 1.0], "color_jitter": None}),
    ],
)
def test_a_recipes_augmentation_is_kept_away(
    rendered: Callable[..., Path], given: list[str], left: dict[str, object] | None
) -> None:
    rendered("--cpu")
    taken = ["train", "--recipe", "mine.toml", "--iterations", "1"]
    assert run([*taken, "--augment", "none", *given]) == 0
    record = json.loads(Path("runs/mobilenet-v1-001/run.json").read_text())["settings"]
    assert record["augmentation"] == left
    assert record["label_smoothing"] == 0.2


def test_the_real_caffe_trains_without_it(
    rendered: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    script = rendered().with_name("train.sh").read_text()
    said = " ".join(line.strip("# ") for line in script.splitlines())
    assert (
        "plain Caffe has no words for --augment crop, --color-jitter 0.3, --label-smoothing 0.2, --lr-policy cosine,"
        " --warmup for 2 epochs; this does it: caffeflow train --solver models/mobilenet-v1/solver.prototxt"
        " --recipe mine.toml"
    ) in said
    error = refused(["train", "--engine", "caffe", "--recipe", "mine.toml"], 2, capsys)
    assert "--recipe mine.toml: Caffe has no words for what it says beside the solver" in error


def test_a_recipe_of_another_net_is_refused(
    rendered: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    rendered()
    Path("other.toml").write_text(MINE.replace('"MOBILENET"', '"ResNet-50"'))
    error = refused(["train", "--recipe", "other.toml"], 2, capsys)
    assert "is for net 'ResNet-50', but models/mobilenet-v1/solver.prototxt trains 'MOBILENET'" in error
    assert "did you mean 'cifar10'" in refused(["train", "--recipe", "cifar1"], 3, capsys)
    net = Path("models/mobilenet-v1/train_val.prototxt")
    net.write_text(net.read_text().replace('"MOBILENET"', '"mine"'))
    assert "trains net 'mine', and there are recipes for MOBILENET, " in refused(
        ["train", "--recipe", "cifar10"], 2, capsys
    )


def test_a_recipe_of_another_size_of_the_net_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "regnetx-400mf", "--input-size", "32"]) == 0
    capsys.readouterr()
    error = refused(["train", "--recipe", "cifar10"], 2, capsys)
    assert "--recipe cifar10: is for 'regnetx-800mf', but models/regnetx-400mf/solver.prototxt" in error
    assert "trains 'RegNetX' as rendered for 'regnetx-400mf'" in error
    Path("own.toml").write_text(
        MINE.replace('"mobilenet-v1"', '"regnetx-400mf"').replace('"MOBILENET"', '"RegNetX"')
    )
    # What holds goes on to the data, which is not there.
    assert run(["train", "--recipe", "own.toml"]) == 5
    assert "in recipe own.toml" in capsys.readouterr().err
    Path("models/regnetx-400mf/regnetx-400mf.variables.toml").write_text("rendered = 7")
    assert run(["train", "--recipe", "cifar10"]) == 5


def test_a_solver_with_other_numbers_is_told(
    rendered: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    rendered("--base-lr", "0.3", "--cpu")
    assert run(["train", "--recipe", "mine.toml", "--iterations", "1"]) == 0
    assert "base_lr is 0.3, in recipe mine.toml 0.01" in capsys.readouterr().err


def test_the_list_names_recipes_with_their_accuracies(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "--list", "--json"]) == 0
    nets = {net["name"]: net["recipes"] for net in json.loads(capsys.readouterr().out)}
    assert nets["resnet50"]["cifar10"]["top1"] == 93.62
    assert nets["lenet"] == {}
    assert sum(len(recipes) for recipes in nets.values()) == 12


def test_of_several_datasets_the_recipe_s_own_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("cifar10", "pets"):
        draw_pictures(Path("pictures", name), "cat", "dog")
        assert run(["prepare", "folder", f"pictures/{name}", "--name", name, "--val-fraction", "0.5"]) == 0
    capsys.readouterr()
    assert run(["render", "resnet50", "--dry-run", "--classes", "3"]) == 2
    assert run(["render", "resnet50", "--dry-run", "--classes", "3", "--recipe", "cifar10"]) == 0
    assert "data/cifar10/train_lmdb" in capsys.readouterr().out
