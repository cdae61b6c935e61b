"""VOC's, COCO's and ILSVRC's result files: their text, when they are written, and what they leave alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from caffeflow.engine.modules.registry import LayerModule
from caffeflow.engine.result_files import ResultWriter
from caffeflow.errors import DataError
from caffeflow.layers.detection_output import DetectionOutputParams
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.labelmap import format_label_map, label_map_of
from caffeflow.proto.text import parse
from tests.support.engine_nets import layer, net_of

ROWS = np.array(
    [
        [0, 1, 0.987654321, 0.25, 0.125, 0.75, 0.875],
        [0, 2, 0.5, -0.5, 0.1, 1.5, 0.9],
        [2, 1, 0.015625, 0.1234, 0.2, 0.3333, 0.6],
    ],
    np.float32,
)


def writer(kind: str, *, settings: str = "", classes: int = 4) -> ResultWriter:
    text = (
        f'output_directory: "results/deep" output_name_prefix: "test_" output_format: "{kind}"'
        f' label_map_file: "map.prototxt" name_size_file: "sizes.txt" {settings}'
    )
    message = parse(
        f'type: "DetectionOutput" detection_output_param {{ num_classes: {classes} save_output_param {{ {text} }} }}',
        LayerParameter(),
        source="layer",
    )
    params = DetectionOutputParams.read(message)
    assert params.results is not None
    return ResultWriter(params.results, params, layer="out")


@pytest.fixture(autouse=True)
def files() -> None:
    Path("map.prototxt").write_text(format_label_map(label_map_of(["cat", "dog", "7"])))
    Path("sizes.txt").write_text("000042 80 120\npicture/b 33 77\n13 200 100\n")


def test_voc_files_have_a_line_a_detection_and_a_file_a_label() -> None:
    writer("VOC").add(ROWS, images=3)
    folder = Path("results/deep")
    assert sorted(path.name for path in folder.iterdir()) == ["test_7.txt", "test_cat.txt", "test_dog.txt"]
    # Corner and sides are cut to whole pixels one by one: 12.34 + 20.99 is 12 + 20.
    assert (folder / "test_cat.txt").read_text() == "000042 0.987654 30 10 90 70\n13 0.015625 12 40 32 120\n"
    assert (folder / "test_dog.txt").read_text() == "000042 0.5 0 8 120 72\n"
    assert (folder / "test_7.txt").read_text() == ""


def test_coco_files_are_json_with_numbers_where_names_are_numbers() -> None:
    rows = np.concatenate((ROWS, [[1, 3, 0.75, 0.1, 0.2, 0.3, 0.4]])).astype(np.float32)
    writer("COCO").add(rows, images=3)
    found = json.loads(Path("results/deep/test_.json").read_text())
    assert [entry["image_id"] for entry in found] == [42, 42, "picture/b", 13]
    assert [entry["category_id"] for entry in found] == ["cat", "dog", 7, "cat"]
    assert [entry["bbox"] for entry in found] == [
        [30.0, 10.0, 60.0, 60.0],
        [0.0, 8.0, 120.0, 64.0],
        [7.7, 6.6, 15.4, 6.6],
        [12.34, 40.0, 20.99, 80.0],
    ]
    assert [entry["score"] for entry in found] == pytest.approx([0.987654321, 0.5, 0.75, 0.015625], rel=1e-7)
    assert list(found[0]) == ["image_id", "category_id", "bbox", "score"]


def test_ilsvrc_has_one_file_with_labels_as_numbers() -> None:
    writer("ILSVRC").add(ROWS, images=3)
    assert Path("results/deep/test_.txt").read_text().splitlines() == [
        "000042 1 0.987654 30 10 90 70",
        "000042 2 0.5 0 8 120 72",
        "13 1 0.015625 12 40 32 120",
    ]


def test_files_are_written_when_a_round_is_complete_and_the_next_begins_anew() -> None:
    path = Path("results/deep/test_.txt")
    both = writer("ILSVRC", settings="num_test_image: 2")
    both.add(ROWS[:1], images=1)
    assert not path.exists()
    # Image 0 of this batch ends the first round; image 1 begins the second with the first name.
    both.add(np.array([[0, 2, 0.5, 0, 0, 1, 1], [1, 1, 0.25, 0, 0, 1, 1]], np.float32), images=2)
    assert path.read_text() == "000042 1 0.987654 30 10 90 70\npicture/b 2 0.5 0 0 77 33\n"
    both.add(np.zeros((0, 7), np.float32), images=1)
    assert path.read_text() == "000042 1 0.25 0 0 120 80\n"


def test_other_files_in_the_folder_stay() -> None:
    folder = Path("results/deep")
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work")
    (folder / "test_cat.txt").write_text("of an earlier round")
    writer("VOC").add(ROWS, images=3)
    assert (folder / "thesis.txt").read_text() == "years of work"
    assert "earlier" not in (folder / "test_cat.txt").read_text()


def test_nothing_is_made_before_a_round_is_complete() -> None:
    writer("VOC").add(ROWS, images=2)
    assert not Path("results").exists()


def test_boxes_go_back_through_the_padding() -> None:
    resize = "resize_param { resize_mode: FIT_LARGE_SIZE_AND_PAD height: 300 width: 300 }"
    # The 80 x 120 image fills the middle two thirds of the height.
    rows = np.array([[0, 1, 0.5, 0, 1 / 6, 0.5, 0.5]], np.float32)
    writer("COCO", settings=f"num_test_image: 1 {resize}").add(rows, images=1)
    (entry,) = json.loads(Path("results/deep/test_.json").read_text())
    assert entry["bbox"] == [0.0, 0.0, 60.0, 40.0]


def test_a_label_without_a_name_is_told() -> None:
    with pytest.raises(DataError, match=r"layer 'out': label 5 was detected.*map\.prototxt"):
        writer("VOC", classes=9).add(np.array([[0, 5, 0.5, 0, 0, 1, 1]], np.float32), images=1)


def test_too_many_test_images_and_a_folder_that_cannot_be_made_are_told() -> None:
    with pytest.raises(DataError, match=r"num_test_image is 4, but sizes\.txt has only 3 lines"):
        writer("VOC", settings="num_test_image: 4")
    Path("results").write_text("a file")
    with pytest.raises(DataError, match=r"results/deep: cannot be made.*output_directory"):
        writer("VOC").add(ROWS, images=3)


def output_layer() -> LayerModule:
    shapes = "shape { dim: 2 dim: 12 } shape { dim: 2 dim: 12 } shape { dim: 1 dim: 2 dim: 12 }"
    files = (
        'save_output_param { output_directory: "out" output_name_prefix: "d" output_format: "ILSVRC"'
        ' label_map_file: "map.prototxt" name_size_file: "sizes.txt" num_test_image: 2 }'
    )
    param = f"detection_output_param {{ num_classes: 4 confidence_threshold: 0.5 {files} }}"
    text = layer("in", "Input", "", "l c p", f"input_param {{ {shapes} }}")
    return net_of(text + layer("out", "DetectionOutput", "l c p", "d", param), phase="TEST").layers[-1].module


def test_the_layer_writes_what_it_finds_and_counts_images_without_detections() -> None:
    module = output_layer()
    priors = torch.tensor([[0.0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0.5, 0.5, 1]])
    both = torch.stack((priors.flatten(), torch.full((12,), 0.1))).unsqueeze(0)
    conf = torch.zeros(2, 3, 4)
    module(torch.zeros(2, 12), conf.reshape(2, 12), both)
    assert Path("out/d.txt").read_text() == ""
    conf[1, 2, 1] = 0.75
    module(torch.zeros(2, 12), conf.reshape(2, 12), both)
    assert Path("out/d.txt").read_text() == "picture/b 1 0.75 0 16 38 32\n"
