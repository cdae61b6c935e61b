"""What a detection dataset decides about a net: classes, names of heads, label map, sources, test batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caffeflow.errors import TemplateError
from caffeflow.proto.labelmap import LabelMap, format_label_map, label_map_of, read_label_map
from caffeflow.render.catalog import find_net
from caffeflow.render.dataset import Dataset, stand_in
from caffeflow.render.labels import label_map_text
from caffeflow.render.render import render_files, resolve
from caffeflow.render.resolve import Places, Resolution

PLACES = Places(out_dir=Path("models/x"), working_dir=Path("/here"))


def dataset(**facts: Any) -> Dataset:
    usual = {
        "name": "blood cells", "folder": Path("data/bccd"), "backend": "lmdb", "is_encoded": True, "channels": 3,
        "height": None, "width": None, "classes": 4, "train_count": 292, "val_count": 72, "task": "detection",
        "train_path": Path("data/bccd/train_lmdb"), "val_path": Path("data/bccd/val_lmdb"),
        "class_names": ("background", "RBC", "WBC", "Platelets"),
        "name_size": Path("data/bccd/test_name_size.txt"),
    }  # fmt: skip
    return Dataset(**(usual | facts))


def resolved(net: str = "ssdlite-voc", facts: dict[str, Any] | None = None, **given: str) -> Resolution:
    return resolve(find_net(net), dataset(**(facts or {})), PLACES, given)


def labels(resolution: Resolution, folder: Path) -> LabelMap:
    path = folder / "labelmap.prototxt"
    path.write_text(label_map_text(resolution))
    return read_label_map(path)


def test_classes_sources_and_names_come_from_the_dataset() -> None:
    values = resolved().values
    assert (values["net.classes"], values["net.conf_suffix"]) == (3, "_blood_cells")
    assert values["data.train_source"] == "/here/data/bccd/train_lmdb"
    assert values["data.test_source"] == "/here/data/bccd/val_lmdb"
    assert values["data.name_size_file"] == "/here/data/bccd/test_name_size.txt"
    assert values["data.label_map_file"] == "/here/models/x/labelmap.prototxt"


def test_classes_may_be_more_than_the_labels_but_not_fewer() -> None:
    assert resolved(classes="9")["net.classes"] == 9
    with pytest.raises(TemplateError, match=r"labels of dataset 'blood cells' go up to 3; give --classes 3"):
        resolved(classes="2")


def test_a_dataset_of_the_other_kind_is_refused() -> None:
    with pytest.raises(
        TemplateError, match="ssdlite-voc detects objects, but dataset 'blood cells' has no box"
    ):
        resolved(facts={"task": "classification"})
    with pytest.raises(TemplateError, match="lenet classifies images, but dataset 'blood cells' has boxes"):
        resolved("lenet")


def test_the_dataset_s_label_map_is_copied_with_its_gaps(tmp_path: Path) -> None:
    own = LabelMap(tuple(label for label in label_map_of(["cat", "dog", "eel"]).labels if label.label != 2))
    (tmp_path / "own.prototxt").write_text(format_label_map(own))
    assert labels(resolved(facts={"label_map": tmp_path / "own.prototxt"}), tmp_path) == own


def test_classes_beyond_the_label_map_are_named_by_number(tmp_path: Path) -> None:
    found = labels(resolved(classes="5"), tmp_path)
    assert list(found.names.values()) == ["none_of_the_above", "RBC", "WBC", "Platelets", "class4", "class5"]
    assert found.num_classes == 6
    taken = dataset(class_names=("background", "class3"), classes=2)
    resolution = resolve(find_net("ssdlite-voc"), taken, PLACES, {"classes": "3"})
    assert list(labels(resolution, tmp_path).names.values())[1:] == ["class3", "class2", "class3_"]


def test_without_a_dataset_the_label_map_is_the_recipe_s_or_numbers(tmp_path: Path) -> None:
    for name, classes, person in (("ssdlite-coco", 91, 1), ("ssdlite-voc", 21, 15)):
        net = find_net(name)
        found = labels(resolve(net, stand_in(net, Path("data")), PLACES, {}), tmp_path)
        assert found.num_classes == classes
        assert found.label_of("person") == person
    assert len(labels(resolve(find_net("ssdlite-coco"), stand_in(find_net("ssdlite-coco"), Path("data")), PLACES,
                              {}), tmp_path).labels) == 81  # fmt: skip
    net = find_net("ssdlite-voc")
    made_up = labels(resolve(net, stand_in(net, Path("data")), PLACES, {"classes": "2"}), tmp_path)
    assert list(made_up.names.values()) == ["none_of_the_above", "class1", "class2"]


def test_heads_keep_their_names_for_as_many_classes_as_published_and_that_is_said() -> None:
    names = ("background", *(f"thing{i}" for i in range(20)))
    resolution = resolved(facts={"classes": 21, "class_names": names})
    assert resolution["net.conf_suffix"] == ""
    assert any(
        "has as many classes as deploy_voc.caffemodel, but others" in note for note in resolution.notes
    )
    same = find_net("ssdlite-voc").dataset.class_names
    assert not resolved(facts={"classes": 21, "class_names": same}, max_iter="10").notes


def test_coco_numbered_from_1_to_80_starts_its_heads_anew() -> None:
    resolution = resolved("ssdlite-coco", {"name": "coco", "classes": 81})
    assert resolution["net.conf_suffix"] == "_coco"
    assert resolved("ssdlite-coco", {"name": "coco", "classes": 91})["net.conf_suffix"] == ""


@pytest.mark.parametrize(
    ("count", "batch", "iterations"),
    [
        (72, 8, 9),
        (4952, 8, 619),
        (5000, 8, 625),
        (100, 5, 20),
        (29, 29, 1),
        (62, 31, 2),
        (23, 23, 1),
        (4999, 1, 4999),
    ],
)
def test_each_test_image_is_seen_once(count: int, batch: int, iterations: int) -> None:
    resolution = resolved(facts={"val_count": count})
    assert (resolution["data.test_batch_size"], resolution["solver.test_iter"]) == (batch, iterations)


def test_a_given_test_batch_that_leaves_a_rest_is_kept_and_noted() -> None:
    resolution = resolved(facts={"val_count": 73}, test_batch_size="8")
    assert (resolution["data.test_batch_size"], resolution["solver.test_iter"]) == (8, 10)
    assert any("counts twice" in note for note in resolution.notes)


def test_sizes_of_images_that_nobody_has_are_asked_for() -> None:
    with pytest.raises(TemplateError, match="has no file of its test images' sizes"):
        resolved(facts={"name_size": None}, boxes_in_pixels="true")


def test_files_say_how_many_classes_with_the_background() -> None:
    texts = render_files(resolved(), command="caffeflow render ssdlite-voc").texts
    assert "4 classes with the background, dataset 'blood cells'" in texts["train.prototxt"]
    assert "not there yet" not in texts["train.prototxt"]
    assert "conf_suffix" in texts["ssdlite-voc.variables.toml"]
