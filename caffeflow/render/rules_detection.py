"""Rules for the variables of detection nets: classes and names that hang on them, sources, batches."""

from __future__ import annotations

import re

from caffeflow.errors import TemplateError
from caffeflow.render.labels import LABEL_MAP
from caffeflow.render.resolve import Resolution
from caffeflow.render.rules_net import check_refused, check_task, origin_of
from caffeflow.render.variables import AUTO


def complete_detection(resolution: Resolution) -> None:
    """Works out what a detection net and its data layers say.

    Raises:
        TemplateError: Values that exclude one another or do not fit the dataset.
    """
    check_task(resolution)
    _decide_classes(resolution)
    _name_new_layers(resolution)
    _check_ratios(resolution)
    check_refused(resolution)
    _name_sources(resolution)
    _decide_augmentation(resolution)
    _fit_test_batch(resolution)


def _decide_classes(resolution: Resolution) -> None:
    dataset, name = resolution.dataset, "net.classes"
    resolution.fill(name, dataset.classes - 1, origin_of(resolution))
    classes = resolution[name]
    if not dataset.is_missing and classes < dataset.classes - 1:
        raise TemplateError(
            f"net.classes is {classes}, but the labels of dataset '{dataset.name}' go up to"
            f" {dataset.classes - 1}; give --classes {dataset.classes - 1} or more (background not counted)"
        )


def _name_new_layers(resolution: Resolution) -> None:
    published = resolution.net.published
    classes, dataset = resolution["net.classes"], resolution.dataset
    if published is None or classes == published.classes:
        resolution.fill("net.conf_suffix", "", "as many classes as published")
        _note_other_classes(resolution)
        return
    is_own = dataset.is_missing and "net.classes" in resolution.given
    name = f"{classes}classes" if is_own else re.sub(r"\W+", "_", dataset.name)
    resolution.fill("net.conf_suffix", f"_{name}", f"{classes} classes, {published.classes} published")


def _note_other_classes(resolution: Resolution) -> None:
    """Says so where the number of classes is the published one by chance only."""
    net, dataset = resolution.net, resolution.dataset
    if net.published is None or dataset.is_missing or resolution["net.conf_suffix"]:
        return
    usual = net.dataset.class_names
    if dataset.class_names[1:] != usual[1:] and usual:
        resolution.notes.append(
            f"'{dataset.name}' has as many classes as {net.published.model}, but others: the layers that"
            " score them keep their names, so published weights load there too;"
            f" --set net.conf_suffix=_{dataset.name} starts them anew"
        )


def _check_ratios(resolution: Resolution) -> None:
    smallest, largest = resolution["net.min_ratio"], resolution["net.max_ratio"]
    if not smallest < largest <= 100:
        raise TemplateError(
            f"net.min_ratio is {smallest:g} and net.max_ratio {largest:g}; expected min_ratio < max_ratio <="
            " 100, in percent of the input's shorter side"
        )


def _name_sources(resolution: Resolution) -> None:
    dataset, places = resolution.dataset, resolution.places
    origin = f"dataset {dataset.name}"
    for variable, split, path in (("train", "train", dataset.train_path), ("test", "val", dataset.val_path)):
        usual = path or dataset.folder / f"{split}_lmdb"
        resolution.fill(f"data.{variable}_source", places.written(usual), origin)
    resolution.fill("data.label_map_file", places.written(places.out_dir / LABEL_MAP), "the output folder")
    if "data.name_size_file" in resolution.given and "data.boxes_in_pixels" not in resolution.given:
        resolution.put("data.boxes_in_pixels", True, "data.name_size_file is given")
    if dataset.name_size is not None:
        resolution.fill("data.name_size_file", places.written(dataset.name_size), origin)
    resolution.fill("data.test_images", dataset.val_count, origin)
    needs = "boxes_in_pixels" if resolution["data.boxes_in_pixels"] else "results_dir"
    if resolution[f"data.{needs}"] and resolution["data.name_size_file"] == AUTO:
        raise TemplateError(
            f"data.{needs}: dataset '{dataset.name}' has no file of its test images' sizes; give"
            " --set data.name_size_file=…"
        )


def _decide_augmentation(resolution: Resolution) -> None:
    augments = resolution["data.augment"] == "ssd"
    resolution.fill("data.mirror", augments, f"augment is {resolution['data.augment']}")
    means = len(resolution["data.mean"])
    if means not in (1, resolution["net.channels"]):
        raise TemplateError(f"data.mean has {means} numbers for 3 channels; give one or 3")
    if means == 1:
        resolution.put("data.mean", resolution["data.mean"] * 3, resolution.origins["data.mean"])


def _fit_test_batch(resolution: Resolution) -> None:
    """Takes a batch that divides the test images: one that is tested twice counts twice in the precision."""
    name = "data.test_batch_size"
    usual, count = resolution[name], resolution.dataset.val_count
    if count < 1 or count % usual == 0:
        return
    if name in resolution.given:
        resolution.notes.append(
            f"{count} test images are no multiple of test_batch_size {usual}: the last batch goes on at the"
            " beginning, and what it tests again counts twice"
        )
        return
    smaller = [batch for batch in range(usual, 0, -1) if count % batch == 0]
    larger = [batch for batch in range(usual, 4 * usual + 1) if count % batch == 0]
    best = larger[0] if larger and smaller[0] < usual // 2 else smaller[0]
    resolution.put(name, best, f"divides the {count} test images")
