"""Data layers: our feeds bring, byte for byte, the batches that the real Caffe's layers bring.

Where Caffe draws at random, each of its records must be one that our rule allows: the numbers drawn differ,
the choices may not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.engine.feed.opening import open_feed
from caffeflow.proto.binary import write_mean
from caffeflow.proto.caffe_pb2 import Datum, NetParameter
from caffeflow.proto.text import parse
from tests.support.native import NativeCaffe
from tests.support.oracles import transformer as oracle
from tests.support.pictures import photo, with_exif_orientation
from tests.support.records import encoded_datum, random_planes, write_image_list, write_lmdb, write_raw_lmdb

pytestmark = pytest.mark.native

COUNT = 11
SHAPE = (3, 13, 17)
PLANES = random_planes(COUNT, SHAPE)
BATCHES = 5  # of 3 records, so over the end of the data
MEAN = np.random.default_rng(6).uniform(0, 255, SHAPE).astype(np.float32)
MEAN_FILE = 'mean_file: "{folder}/mean.binaryproto"'
VALUES = "mean_value: 104 mean_value: 117 mean_value: 122.67"


@dataclass(frozen=True)
class Case:
    """One layer: where its records are and how they are transformed."""

    name: str
    source: str
    transform: str = ""
    more: str = ""

    def prototxt(self, folder: Path) -> str:
        transform = self.transform.replace("{folder}", str(folder))
        if self.source.endswith("_lmdb"):
            kind = (
                f'type: "Data" data_param {{ source: "{folder}/{self.source}" backend: LMDB batch_size: 3 }}'
            )
        else:
            kind = f"""type: "ImageData" image_data_param {{
                source: "{folder}/{self.source}/list.txt" root_folder: "{folder}/{self.source}/"
                batch_size: 3 {self.more} }}"""
        return f'layer {{ name: "data" top: "data" top: "label" {kind} transform_param {{ {transform} }} }}\n'


EXACT = [
    Case("raw", "raw_lmdb"),
    Case("mean values", "raw_lmdb", f"{VALUES} scale: 0.017"),
    Case("one mean value", "raw_lmdb", "mean_value: 127.5 scale: 0.00390625"),
    Case("mean file", "raw_lmdb", MEAN_FILE),
    Case("mean file and centre crop", "raw_lmdb", f"{MEAN_FILE} crop_size: 6 scale: 0.5"),
    Case("float data", "float_lmdb", f"{VALUES} crop_size: 5"),
    Case("png", "png_lmdb", VALUES),
    Case("png forced gray", "png_lmdb", "force_gray: true"),
    Case("gray png as it is", "gray_png_lmdb"),
    Case("gray png forced colour", "gray_png_lmdb", f"force_color: true {VALUES}"),
    Case("alpha png as it is", "alpha_png_lmdb"),
    Case("jpeg", "jpeg_lmdb", "crop_size: 11"),
    Case("rotated jpeg as it is", "exif_lmdb"),
    Case("rotated jpeg forced colour", "exif_lmdb", "force_color: true"),
    Case("listed", "images", VALUES),
    Case("listed and resized", "images", MEAN_FILE, "new_height: 13 new_width: 17"),
    Case("listed, enlarged and cropped", "images", "crop_size: 19", "new_height: 21 new_width: 30"),
    Case("listed gray", "images", "mean_value: 100", "is_color: false"),
    Case("listed rotated jpeg", "exif"),
]
DRAWN = [
    Case("mirror in TEST", "raw_lmdb", f"{MEAN_FILE} mirror: true crop_size: 6"),
    Case("random crop", "raw_lmdb", f"{MEAN_FILE} mirror: true crop_size: 11 scale: 0.5"),
]


def write_sources(folder: Path) -> None:
    write_mean(folder / "mean.binaryproto", MEAN)
    write_raw_lmdb(folder / "raw_lmdb", PLANES)
    floats = [
        Datum(channels=3, height=13, width=17, label=place, float_data=(planes / 7.0).ravel().tolist())
        for place, planes in enumerate(PLANES)
    ]
    write_lmdb(folder / "float_lmdb", [datum.SerializeToString() for datum in floats])
    images = [np.ascontiguousarray(planes.transpose(1, 2, 0)) for planes in PLANES]
    photos = [np.roll(photo(23, 31), place, axis=1) for place in range(COUNT)]
    alphas = [
        np.dstack([image, np.full((13, 17), 5 * place, np.uint8)]) for place, image in enumerate(images)
    ]
    files = {
        "png": [cv2.imencode(".png", image)[1].tobytes() for image in images],
        "gray_png": [cv2.imencode(".png", image[:, :, 1])[1].tobytes() for image in images],
        "alpha_png": [cv2.imencode(".png", image)[1].tobytes() for image in alphas],
        "jpeg": [cv2.imencode(".jpg", image)[1].tobytes() for image in photos],
    }
    files["exif"] = [with_exif_orientation(content, 6) for content in files["jpeg"]]
    for name, contents in files.items():
        values = [encoded_datum(content, place) for place, content in enumerate(contents)]
        write_lmdb(folder / f"{name}_lmdb", values)
    write_image_list(folder / "images", PLANES, list(range(COUNT)))
    (folder / "exif").mkdir()
    for place, content in enumerate(files["exif"]):
        (folder / "exif" / f"{place}.jpg").write_bytes(content)
    lines = [f"{place}.jpg {place}\n" for place in range(COUNT)]
    (folder / "exif" / "list.txt").write_text("".join(lines))


def phase_of(case: Case) -> str:
    return "TRAIN" if case.name == "random crop" else "TEST"


@pytest.fixture(scope="module")
def folder(caffe: NativeCaffe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, and what Caffe makes of them."""
    made = tmp_path_factory.mktemp("feeds")
    write_sources(made)
    cases = [*EXACT, *DRAWN]
    for case in cases:
        (made / f"{case.name}.prototxt").write_text(case.prototxt(made))
    told = [{"name": case.name, "phase": phase_of(case), "batches": BATCHES} for case in cases]
    (made / "cases.json").write_text(json.dumps(told))
    driver = Path(__file__).parent.parent / "support" / "native_feed_driver.py"
    caffe.run("python", driver, made)
    return made


@pytest.mark.parametrize("case", EXACT, ids=lambda case: case.name)
def test_batches_are_caffes(folder: Path, case: Case) -> None:
    theirs = np.load(folder / f"{case.name}.npz")
    layer = parse(case.prototxt(folder), NetParameter(), source=case.name).layer[0]
    feed = open_feed(layer, phase="TEST", seed=0)
    for data, label in zip(theirs["data"], theirs["label"], strict=True):
        ours = feed.next()
        assert ours[0].shape == data.shape
        assert np.array_equal(ours[0].numpy(), data)
        assert np.array_equal(ours[1].numpy(), label)
    feed.close()


@pytest.mark.parametrize("case", DRAWN, ids=lambda case: case.name)
def test_what_caffe_draws_is_what_our_rule_allows(folder: Path, case: Case) -> None:
    theirs = np.load(folder / f"{case.name}.npz")
    crop, scale = (6, 1.0) if phase_of(case) == "TEST" else (11, 0.5)
    tops, lefts = ([3], [5]) if phase_of(case) == "TEST" else (range(3), range(7))
    records = theirs["data"].reshape(-1, 3, crop, crop)
    mirrored = set()
    for place, record in enumerate(records):
        found = [
            mirror
            for top in tops
            for left in lefts
            for mirror in (False, True)
            if np.array_equal(
                record,
                oracle.transform(
                    PLANES[place % COUNT],
                    crop=crop,
                    top=top,
                    left=left,
                    mirror=mirror,
                    mean_image=MEAN,
                    scale=scale,
                ),
            )
        ]
        assert len(found) == 1
        mirrored.update(found)
    assert mirrored == {False, True}
