"""What a dataset decides about a net: size, crop, channels, mean, batches, lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caffeflow.errors import TemplateError
from caffeflow.render.catalog import find_net
from caffeflow.render.dataset import Dataset
from caffeflow.render.render import resolve
from caffeflow.render.resolve import Places, Resolution

PLACES = Places(out_dir=Path("models/x"), working_dir=Path("/here"))


def dataset(**facts: Any) -> Dataset:
    usual = {
        "name": "pets", "folder": Path("data/pets"), "backend": "lmdb", "is_encoded": True, "channels": 3,
        "height": 32, "width": 32, "classes": 7, "train_count": 1000, "val_count": 300,
        "train_path": Path("data/pets/train_lmdb"), "val_path": Path("data/pets/val_lmdb"),
        "mean_file": Path("data/pets/mean.binaryproto"), "mean_values": (101.5, 102.5, 103.5),
    }  # fmt: skip
    return Dataset(**(usual | facts))


def resolved(net: str = "cifar10-quick", facts: dict[str, Any] | None = None, **given: str) -> Resolution:
    return resolve(find_net(net), dataset(**(facts or {})), PLACES, given)


def test_classes_channels_and_sources_come_from_the_dataset() -> None:
    values = resolved().values
    assert (values["net.classes"], values["net.channels"], values["data.crop_size"]) == (7, 3, 0)
    assert values["data.train_source"] == "/here/data/pets/train_lmdb"
    assert values["data.test_source"] == "/here/data/pets/val_lmdb"
    assert values["data.mean_file"] == "/here/data/pets/mean.binaryproto"


def test_classes_may_be_more_than_the_dataset_s_but_not_fewer() -> None:
    assert resolved(classes="9")["net.classes"] == 9
    with pytest.raises(
        TemplateError, match=r"net\.classes is 6, but dataset 'pets' has 7 classes, labels 0 to 6"
    ):
        resolved(classes="6")


def test_larger_images_are_cropped() -> None:
    resolution = resolved(facts={"height": 40, "width": 36})
    assert (resolution["net.input_size"], resolution["data.crop_size"]) == ((32, 32), 32)


def test_smaller_images_shrink_the_net_and_say_so() -> None:
    resolution = resolved(facts={"height": 28, "width": 30})
    assert (resolution["net.input_size"], resolution["data.crop_size"]) == ((28, 30), 0)
    assert any("28x30, smaller than the recipe's input of 32x32" in note for note in resolution.notes)


def test_an_input_larger_than_the_images_names_both_sizes() -> None:
    with pytest.raises(
        TemplateError, match="40x40 is larger than the images of 'pets', 32x32; give --input-size 32"
    ):
        resolved(input_size="40")


def test_an_oblong_input_needs_images_of_exactly_that_size() -> None:
    assert resolved(facts={"height": 40, "width": 60}, input_size="40x60")["data.crop_size"] == 0
    with pytest.raises(TemplateError, match="Caffe crops squares only"):
        resolved(facts={"height": 40, "width": 60}, input_size="30x50")


def test_images_that_differ_in_size_are_cropped_from_an_lmdb() -> None:
    resolution = resolved(facts={"height": None, "width": None, "mean_file": None, "mean_values": None})
    assert (resolution["data.crop_size"], resolution["data.resize"]) == (32, (0, 0))


def test_images_that_differ_in_size_are_resized_from_a_list() -> None:
    facts = {"height": None, "width": None, "backend": "imagedata", "train_root": Path("data/pets/train")}
    resolution = resolved("mobilenet-v2", facts | {"mean_file": None, "mean_values": None})
    assert (resolution["data.crop_size"], resolution["data.resize"]) == (224, (256, 256))
    assert resolution["data.train_root"] == "/here/data/pets/train/"
    assert resolution["data.mean_values"] == (103.94, 116.78, 123.68)


def test_gray_is_forced_where_records_can_be_decoded_so() -> None:
    assert resolved("lenet", {"height": 28, "width": 28})["data.color"] == "as-is"
    assert resolved("lenet", {"channels": None})["data.color"] == "color"
    resolution = resolved("lenet", channels="1")
    assert resolution["data.color"] == "gray"
    with pytest.raises(TemplateError, match="raw records of 3, which Caffe cannot convert"):
        resolved("lenet", {"is_encoded": False}, channels="1")


def test_the_mean_is_the_dataset_s_unless_numbers_are_given() -> None:
    assert resolved("mobilenet-v2")["data.mean_values"] == (101.5, 102.5, 103.5)
    given = resolved("mobilenet-v2", mean="104,117,123")
    assert (given["data.mean"], given["data.mean_values"]) == ("values", (104, 117, 123))
    assert resolved("mobilenet-v2", mean_values="9")["data.mean_values"] == (9,)
    named = resolved("mobilenet-v2", mean_file="/m.binaryproto")
    assert (named["data.mean"], named["data.mean_file"]) == ("file", "/m.binaryproto")


def test_a_mean_file_that_is_not_there_is_refused_only_if_asked_for() -> None:
    missing = {"mean_file": None}
    assert resolved(facts=missing)["data.mean"] == "values"
    with pytest.raises(TemplateError, match="--mean file: dataset 'pets' has no mean image of 3 channels"):
        resolved(facts=missing, mean="file")


def test_a_colour_mean_is_not_taken_for_a_gray_net() -> None:
    resolution = resolved(channels="1", mean="99")
    assert resolution["data.mean_values"] == (99,)
    with pytest.raises(TemplateError, match=r"data\.mean_values has 3 numbers for 1 channel; give one"):
        resolved(channels="1")


def test_another_backend_than_the_dataset_s_is_refused() -> None:
    with pytest.raises(TemplateError, match="dataset 'pets' is of backend lmdb"):
        resolved(backend="imagedata")


@pytest.mark.parametrize(
    ("count", "batch", "iterations"),
    [(300, 100, 3), (360, 90, 4), (90, 90, 1), (361, 100, 4), (10000, 100, 100)],
)
def test_tests_see_each_image_once_where_a_divisor_is_near(count: int, batch: int, iterations: int) -> None:
    resolution = resolved(facts={"val_count": count})
    assert (resolution["data.test_batch_size"], resolution["solver.test_iter"]) == (batch, iterations)


def test_a_given_test_batch_stays_and_tests_round_up() -> None:
    resolution = resolved(facts={"val_count": 301}, test_batch_size="100")
    assert (resolution["data.test_batch_size"], resolution["solver.test_iter"]) == (100, 4)


def test_epochs_become_iterations_of_the_whole_batch() -> None:
    resolution = resolved(epochs="2.5", batch_size="64")
    assert resolution["solver.max_iter"] == 40  # 2.5 * 1000 / 64, rounded up
    assert resolved("vgg16", epochs="1")["solver.max_iter"] == 4  # 1000 / (32 * 8)


def test_iterations_are_told_in_epochs() -> None:
    assert resolved(max_iter="30")["solver.epochs"] == 3.0


def test_a_given_batch_is_the_whole_batch() -> None:
    assert resolved("vgg16")["solver.iter_size"] == 8
    assert resolved("vgg16", batch_size="4")["solver.iter_size"] == 1
    assert resolved("vgg16", batch_size="4", iter_size="2")["solver.iter_size"] == 2


def test_a_recipe_much_too_long_for_the_dataset_is_noted() -> None:
    assert any("epochs of 'pets'" in note for note in resolved().notes)
    assert not resolved(max_iter="100").notes


def test_the_recipe_s_steps_move_with_the_length() -> None:
    assert resolved("caffenet", input_size="32", max_iter="4500")["solver.stepsize"] == 1000
    assert resolved("resnet50", max_iter="600")["solver.stepvalue"] == (150, 300, 450)
    assert resolved("resnet50", max_iter="600", stepvalue="9,99")["solver.stepvalue"] == (9, 99)


def test_another_policy_takes_customary_numbers_not_the_recipe_s() -> None:
    resolution = resolved("resnet50", max_iter="900", lr_policy="step")
    assert (resolution["solver.stepsize"], resolution["solver.gamma"]) == (300, 0.1)
    assert resolved("lenet", lr_policy="poly")["solver.power"] == 1.0


def test_tests_are_not_rarer_than_the_training_is_long() -> None:
    assert resolved(max_iter="70")["solver.test_interval"] == 70
    assert resolved(max_iter="70", test_interval="500")["solver.test_interval"] == 500


def test_adaptive_solvers_bring_a_rate_that_suits_them() -> None:
    adam = resolved(**{"solver.type": "adam"})
    assert (adam["solver.base_lr"], adam["solver.lr_policy"], adam["solver.weight_decay"]) == (
        0.001,
        "fixed",
        0,
    )
    assert resolved(**{"solver.type": "adam", "base_lr": "0.5"})["solver.base_lr"] == 0.5


def test_paths_can_be_relative() -> None:
    places = Places(out_dir=Path("models/x"), working_dir=Path("/here"), is_relative=True)
    resolution = resolve(find_net("cifar10-quick"), dataset(), places, {})
    assert resolution["data.train_source"] == "data/pets/train_lmdb"
    assert resolution["solver.snapshot_prefix"] == "models/x/snapshots/cifar10-quick"


def test_the_machine_decides_the_mode_unless_told() -> None:
    with_gpu = Places(out_dir=Path("m"), working_dir=Path("/"), has_gpu=True)
    assert resolve(find_net("lenet"), dataset(), with_gpu, {})["solver.mode"] == "GPU"
    assert resolve(find_net("lenet"), dataset(), with_gpu, {"mode": "cpu"})["solver.mode"] == "CPU"
    assert resolved()["solver.mode"] == "CPU"


def test_every_value_says_where_it_comes_from() -> None:
    resolution = resolved("mobilenet-v2", width="0.5")
    assert resolution.origins["net.width"] == "given"
    assert resolution.origins["net.classes"] == "dataset pets"
    assert resolution.origins["solver.base_lr"].startswith("shicai/MobileNet-Caffe#9")
    unexplained = [
        name for name, value in resolution.values.items() if value != "auto" and not resolution.origins[name]
    ]
    assert not unexplained
