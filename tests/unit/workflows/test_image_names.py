"""Names and sizes of test images, and of classes, from wherever they are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.data.manifest import Manifest, Split, write_manifest
from caffeflow.errors import DataError
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.labelmap import label_map_of
from caffeflow.workflows.test_images import ClassNames, find_label_map, images_of
from tests.support.detection_project import LABEL_MAP, scenes, write_scenes

FOLDER = Path("data/scenes")


def data_layer() -> LayerParameter:
    """A layer that reads 3 images of 42 x 54 and 2 of 30 x 40."""
    write_scenes(FOLDER / "val_lmdb", [*scenes(3), *scenes(2, size=(30, 40))])
    layer = LayerParameter(name="data", type="AnnotatedData")
    layer.data_param.source = str(FOLDER / "val_lmdb")
    return layer


def write_dataset(*, name_size: str | None, label_map: str | None) -> None:
    split = Split(
        path="val_lmdb", root=None, count=5, rejected={}, unusual={}, labels={1: 3}, digest="sha256:0",
        name_size=name_size,
    )  # fmt: skip
    manifest = Manifest(
        name="scenes", source="voc", backend="lmdb", encode="png", channels=3, height=None, width=None,
        classes=3, class_names=(), splits={"val": split}, mean=None, settings={}, task="detection",
        label_map=label_map,
    )  # fmt: skip
    write_manifest(FOLDER, manifest)


def test_without_any_file_the_records_are_asked() -> None:
    images = images_of(data_layer(), size_file="")
    assert [(one.name, one.height, one.width) for one in images] == [
        ("000000", 42, 54), ("000001", 42, 54), ("000002", 42, 54), ("000003", 30, 40), ("000004", 30, 40),
    ]  # fmt: skip


def test_the_nets_file_is_taken_and_the_datasets_before_it() -> None:
    layer = data_layer()
    Path("sizes.txt").write_text("".join(f"net{number} 10 20\n" for number in range(5)))
    assert images_of(layer, size_file="sizes.txt")[4].name == "net4"
    (FOLDER / "sizes.txt").write_text("".join(f"own{number} 30 40\n" for number in range(5)))
    write_dataset(name_size="sizes.txt", label_map=None)
    assert images_of(layer, size_file="sizes.txt")[4].name == "own4"


def test_a_file_of_other_images_is_refused() -> None:
    layer = data_layer()
    Path("sizes.txt").write_text("a 10 20\nb 10 20\n")
    with pytest.raises(DataError, match=r"sizes.txt: has 2 lines, but 'data/scenes/val_lmdb' has 5 images"):
        images_of(layer, size_file="sizes.txt")


def test_the_label_map_of_the_dataset_comes_before_the_nets() -> None:
    layer, net = data_layer(), NetParameter()
    assert find_label_map(layer, net) is None
    Path("labelmap.prototxt").write_text(LABEL_MAP)
    net.layer.add(type="AnnotatedData").annotated_data_param.label_map_file = "labelmap.prototxt"
    found = find_label_map(layer, net)
    assert found is not None
    assert found.names[1] == "ball"
    (FOLDER / "map.prototxt").write_text(LABEL_MAP.replace("ball", "bell"))
    write_dataset(name_size=None, label_map="map.prototxt")
    found = find_label_map(layer, net)
    assert found is not None
    assert found.names[1] == "bell"


def test_classes_without_a_name_are_called_by_their_number() -> None:
    assert ClassNames.of(None, [1, 2]).shown == {1: "1", 2: "2"}
    names = ClassNames.of(label_map_of(["cat"]), [1, 2])
    assert names.written == {1: "cat", 2: "2"}
