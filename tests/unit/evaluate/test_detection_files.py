"""Result files as VOC's and COCO's own evaluations read them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from caffeflow.evaluate.detection_files import write_coco_file, write_voc_files

FOUND = np.array(
    [[0, 1, 0.75, 1.25, 2, 30.125, 40], [2, 1, 0.5, 0, 0, 5, 7], [2, 3, 0.123456789, 3, 4, 5, 6]], np.float32
)


def test_vocs_files_have_a_line_for_each_detection(tmp_path: Path) -> None:
    paths = write_voc_files(
        tmp_path, FOUND, images=["a", "b", "c"], classes={1: "cat", 2: "dog", 3: "tv/video"}
    )
    assert [path.name for path in paths] == [
        "comp4_det_test_cat.txt", "comp4_det_test_dog.txt", "comp4_det_test_tv_video.txt",
    ]  # fmt: skip
    assert paths[0].read_text() == "a 0.750000 1.25 2.00 30.12 40.00\nc 0.500000 0.00 0.00 5.00 7.00\n"
    assert paths[1].read_text() == ""
    assert paths[2].read_text() == "c 0.123457 3.00 4.00 5.00 6.00\n"


@pytest.mark.parametrize(
    ("images", "ids"),
    [
        (["000000000139", "000000000285", "000000000632"], [139, 632]),
        (["COCO_val2014_000000000042", "COCO_val2014_000000000073", "COCO_val2014_000000000074"], [42, 74]),
        (["139", "285", "632"], [139, 632]),
        (["img_1", "img_2", "3"], ["img_1", "3"]),
        (["1", "01", "2"], ["1", "2"]),
    ],
)
def test_images_are_called_by_cocos_ids_where_they_have_them(tmp_path: Path, images, ids) -> None:
    path = write_coco_file(tmp_path, FOUND, images=images, classes={1: "cat", 3: "dog"})
    found = json.loads(path.read_text())
    assert [one["image_id"] for one in found] == [ids[0], ids[1], ids[1]]
    assert found[0] == {"image_id": ids[0], "category_id": 1, "bbox": [1.25, 2.0, 28.88, 38.0], "score": 0.75}


def test_classes_are_called_by_cocos_ids_where_the_label_map_has_them(tmp_path: Path) -> None:
    path = write_coco_file(tmp_path, FOUND, images=["1", "2", "3"], classes={1: "1", 2: "2", 3: "90"})
    assert [one["category_id"] for one in json.loads(path.read_text())] == [1, 1, 90]
