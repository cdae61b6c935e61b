"""Data and ImageData hand out what the real Caffe's do, to the last bit: decoding, mean, crop, scale, order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from caffeflow.data.build import BuildSettings, build
from caffeflow.data.sources.image_list import ListSettings, list_jobs
from caffeflow.engine.feed.opening import open_feed
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.text import parse
from tests.support.native import NativeCaffe, Report
from tests.support.native_pictures import write_list, write_textures

pytestmark = pytest.mark.native

DRIVER = Path(__file__).resolve().parents[1] / "support" / "native_feed_driver.py"
RECORDS, BATCH, BATCHES = 11, 3, 9  # so the data come round more than twice, and never at a batch's end


@dataclass(frozen=True, kw_only=True)
class Case:
    """A data layer: which dataset it reads, and its transform_param and other fields."""

    name: str
    data: str
    transform: str = ""
    more: str = ""
    phase: Literal["TRAIN", "TEST"] = "TRAIN"


MEANS = "mean_value: 104.25 mean_value: 117 mean_value: 123.5"
CASES = [
    Case(name="plain", data="raw"),
    Case(name="scaled", data="raw", transform="scale: 0.00390625"),
    Case(name="mean-values", data="raw", transform=f"{MEANS} scale: 0.017"),
    Case(name="one-mean-value", data="raw", transform="mean_value: 117.3"),
    Case(name="mean-file", data="raw", transform='mean_file: "{mean}" scale: 0.0078125'),
    Case(name="centre-crop", data="raw", transform=f"crop_size: 16 {MEANS}", phase="TEST"),
    Case(name="centre-crop-mean-file", data="raw", transform='crop_size: 17 mean_file: "{mean}"', phase="TEST"),
    Case(name="crop-of-the-whole", data="square", transform="crop_size: 24 scale: 2"),
    Case(name="png", data="png", transform=MEANS),
    Case(name="png-forced-gray", data="png", transform="force_gray: true mean_value: 100"),
    Case(name="gray-jpg-forced-color", data="gray-jpg", transform="force_color: true"),
    Case(name="jpg", data="jpg", transform="crop_size: 20 scale: 0.5", phase="TEST"),
    Case(name="images", data="images", transform=MEANS),
    Case(name="images-gray", data="images", more="is_color: false"),
    Case(name="images-resized", data="images", more="new_height: 29 new_width: 31", transform="scale: 0.017"),
    Case(
        name="images-resized-centre-crop", data="images", more="new_height: 29 new_width: 31",
        transform="crop_size: 24", phase="TEST",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven pictures as files, and as LMDBs of every form."""
    root = tmp_path_factory.mktemp("feeds")
    write_textures(root / "pictures", classes=11, per_class=1, sizes=[(23, 25)], suffix=".png")
    write_textures(root / "photos", classes=11, per_class=1, sizes=[(23, 25)], suffix=".jpg")
    write_textures(root / "squares", classes=11, per_class=1, sizes=[(24, 24)], suffix=".png")
    forms = {
        "raw": ("pictures", BuildSettings(encode="raw", shuffle=False)),
        "square": ("squares", BuildSettings(encode="raw", shuffle=False)),
        "png": ("pictures", BuildSettings(encode="png", shuffle=False)),
        "jpg": ("photos", BuildSettings(encode="jpg", shuffle=False)),
        "gray-jpg": ("photos", BuildSettings(encode="jpg", gray=True, shuffle=False)),
    }
    for name, (pictures, settings) in forms.items():
        listing = root / f"{pictures}.txt"
        write_list(root / pictures, listing)
        jobs = list_jobs(ListSettings(train=listing, root=root / pictures))
        assert build(jobs, settings, root / name, source="list").splits["train"].count == RECORDS
    return root


def layer_text(case: Case, root: Path) -> str:
    transform = case.transform.replace("{mean}", str(root / case.data / "mean.binaryproto"))
    if case.data == "images":
        source = (
            f'type: "ImageData" image_data_param {{ source: "{root}/photos.txt" root_folder: "{root}/photos/"'
        )
    else:
        source = f'type: "Data" data_param {{ source: "{root}/{case.data}/train_lmdb" backend: LMDB'
    return (
        f'layer {{ name: "data" top: "data" top: "label" {source} batch_size: {BATCH} {case.more} }}'
        f" transform_param {{ {transform} }} }}"
    )


@pytest.fixture(scope="module")
def answers(caffe: NativeCaffe, root: Path) -> dict[str, dict[str, np.ndarray]]:
    orders = []
    for case in CASES:
        (root / f"{case.name}.prototxt").write_text(layer_text(case, root))
        orders.append(
            {"name": case.name, "prototxt": f"{case.name}.prototxt", "phase": case.phase, "batches": BATCHES}
        )
    (root / "cases.json").write_text(json.dumps(orders))
    caffe.run("python", DRIVER, root)
    return {case.name: dict(np.load(root / f"{case.name}.out.npz")) for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_batches_are_those_of_caffe(
    case: Case, root: Path, answers: dict[str, dict[str, np.ndarray]], report: Report
) -> None:
    expected = answers[case.name]
    (layer,) = parse(layer_text(case, root), NetParameter(), source=case.name).layer
    feed = open_feed(layer, phase=case.phase, seed=0, workers=2)
    try:
        for batch in range(BATCHES):
            data, label = feed.next()
            np.testing.assert_array_equal(label.numpy(), expected[f"label_{batch}"])
            np.testing.assert_array_equal(data.numpy(), expected[f"data_{batch}"])
    finally:
        feed.close()
    report("data layers", f"{len(CASES)} layers, {BATCHES} batches each: all values equal")
