"""What SSD's transformer adds to Data and ImageData: resize, noise, crop_h and crop_w, its rule of means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from google.protobuf import text_format

from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.feed.protocol import Feed
from caffeflow.engine.feed.sources import record_shape
from caffeflow.errors import DataError
from caffeflow.layers.data import RecordParams, record_shapes
from caffeflow.proto import caffe_pb2
from caffeflow.proto.binary import write_mean
from tests.support.records import (
    encoded_datum,
    picture_bytes,
    random_planes,
    write_image_list,
    write_lmdb,
    write_raw_lmdb,
)

COUNT = 5
SIZE = (13, 17)
WARP = "resize_param { height: 13 width: 17 interp_mode: CUBIC }"


@contextmanager
def opened(layer: caffe_pb2.LayerParameter, phase: str = "TRAIN", **settings: int) -> Iterator[Feed]:
    feed = open_feed(layer, phase=phase, seed=4, **settings)
    try:
        yield feed
    finally:
        feed.close()


@pytest.fixture
def planes() -> list[np.ndarray]:
    return [random_planes(1, (3, 20 + 3 * index, 31 - 2 * index), seed=index)[0] for index in range(COUNT)]


def layer_of(kind: str, folder: Path, planes: list[np.ndarray], transform: str) -> caffe_pb2.LayerParameter:
    if kind == "Data":
        values = [encoded_datum(picture_bytes(one), label) for label, one in enumerate(planes)]
        source = f'data_param {{ source: "{write_lmdb(folder / "db", values)}" batch_size: 5 backend: LMDB }}'
    else:
        write_image_list(folder / "images", planes, list(range(COUNT)))
        root = folder / "images"
        source = f'image_data_param {{ source: "{root}/list.txt" root_folder: "{root}/" batch_size: 5 }}'
    text = f'name: "data" type: "{kind}" top: "data" top: "label" transform_param {{ {transform} }} {source}'
    return text_format.Parse(text, caffe_pb2.LayerParameter())


def resized(planes: np.ndarray) -> np.ndarray:
    image = cv2.resize(
        np.ascontiguousarray(planes.transpose(1, 2, 0)), SIZE[::-1], interpolation=cv2.INTER_CUBIC
    )
    return image.transpose(2, 0, 1).astype(np.float32)


@pytest.mark.parametrize("kind", ["Data", "ImageData"])
def test_pictures_are_resized_and_the_rest_follows(
    kind: str, tmp_path: Path, planes: list[np.ndarray]
) -> None:
    layer = layer_of(kind, tmp_path, planes, f"{WARP} mean_value: 7 scale: 0.5")
    with opened(layer) as feed:
        data, labels = feed.next()
    assert labels.tolist() == [0, 1, 2, 3, 4]
    for found, one in zip(data.numpy(), planes, strict=True):
        assert np.array_equal(found, (resized(one) - np.float32(7)) * np.float32(0.5))
    params = (RecordParams.read_data if kind == "Data" else RecordParams.read_image_data)(layer)
    assert record_shapes(params, [record_shape(layer)]) == [(5, 3, *SIZE), (5,)]


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_crops_need_not_be_square(phase: str, tmp_path: Path, planes: list[np.ndarray]) -> None:
    layer = layer_of("Data", tmp_path, planes, f"{WARP} crop_h: 5 crop_w: 11")
    corners = set()
    with opened(layer, phase) as feed:
        for _ in range(6):
            for found, one in zip(feed.next()[0].numpy(), planes, strict=True):
                whole = resized(one)
                places = [
                    (top, left)
                    for top in range(9)
                    for left in range(7)
                    if np.array_equal(found, whole[:, top : top + 5, left : left + 11])
                ]
                assert len(places) == 1
                corners.add(places[0])
    assert (corners == {(4, 3)}) == (phase == "TEST")


def test_crop_size_has_precedence(tmp_path: Path, planes: list[np.ndarray]) -> None:
    layer = layer_of("Data", tmp_path, planes, "crop_h: 5 crop_w: 11 crop_size: 7")
    with opened(layer, "TEST") as feed:
        assert feed.next()[0].shape == (5, 3, 7, 7)


def test_a_mean_file_has_the_size_of_the_result_and_is_not_mirrored(
    tmp_path: Path, planes: list[np.ndarray]
) -> None:
    mean = np.random.default_rng(1).uniform(0, 255, (3, *SIZE)).astype(np.float32)
    write_mean(tmp_path / "mean.binaryproto", mean)
    fields = f'{WARP} mirror: true mean_file: "{tmp_path}/mean.binaryproto"'
    seen = set()
    with opened(layer_of("Data", tmp_path, planes, fields), "TEST") as feed:
        for _ in range(4):
            for found, one in zip(feed.next()[0].numpy(), planes, strict=True):
                straight = np.array_equal(found, resized(one) - mean)
                turned = np.array_equal(found, resized(one)[:, :, ::-1] - mean)
                seen.add((straight, turned))
    assert seen == {(True, False), (False, True)}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("", r"mean_file '.*' is 3 x 13 x 16; it must have the size of the resized pictures"),
        ("crop_size: 5", r"is cropped, and mean_file '.*' is 3 x 13 x 16; .*only without cropping"),
    ],
)
def test_a_mean_file_that_ssd_cannot_use_is_refused(
    tmp_path: Path, planes: list[np.ndarray], fields: str, words: str
) -> None:
    write_mean(tmp_path / "mean.binaryproto", np.zeros((3, 13, 16), np.float32))
    fields = f'{WARP} {fields} mean_file: "{tmp_path}/mean.binaryproto"'
    with pytest.raises(DataError, match=words):
        open_feed(layer_of("Data", tmp_path, planes, fields), phase="TEST", seed=0)


@pytest.mark.parametrize("fields", [WARP, "noise_param { }", "crop_h: 3 crop_w: 3"])
def test_bare_pixels_are_refused(tmp_path: Path, fields: str) -> None:
    source = write_raw_lmdb(tmp_path / "raw", random_planes(2, (3, 7, 5)))
    text = f"""name: "data" type: "Data" top: "data" transform_param {{ {fields} }}
        data_param {{ source: "{source}" batch_size: 2 backend: LMDB }}"""
    with pytest.raises(DataError, match=r"layer 'data': '.*' holds bare pixels"):
        open_feed(text_format.Parse(text, caffe_pb2.LayerParameter()), phase="TEST", seed=0)


def test_noise_that_cannot_work_names_the_picture(tmp_path: Path) -> None:
    gray = random_planes(COUNT, (1, 20, 30))
    layer = layer_of("Data", tmp_path, gray, f"{WARP} noise_param {{ decolorize: true }}")
    with (
        opened(layer) as feed,
        pytest.raises(DataError, match=r"'.*00000000_0.png' is 1 x 20 x 30, but it is gray"),
    ):
        feed.next()


def test_threads_do_not_change_the_batches(tmp_path: Path, planes: list[np.ndarray]) -> None:
    fields = """mirror: true crop_h: 5 crop_w: 11 noise_param { saltpepper: true
        saltpepper_param { fraction: 0.2 value: 0 } }
        resize_param { height: 13 width: 17 interp_mode: LINEAR interp_mode: NEAREST }"""
    layer = layer_of("Data", tmp_path, planes, fields)
    found = []
    for workers in (1, 7):
        with opened(layer, workers=workers) as feed:
            found.append(np.stack([feed.next()[0].numpy().copy() for _ in range(6)]))
    assert np.array_equal(*found)
    assert not np.array_equal(found[0][0], found[0][1])
