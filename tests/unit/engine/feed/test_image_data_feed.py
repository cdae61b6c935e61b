"""ImageData feeds: lists, resizing, shuffling, skipping; and DummyData."""

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
from caffeflow.engine.feed.sources import record_count, record_shape
from caffeflow.errors import DataError, NetError
from caffeflow.proto import caffe_pb2
from tests.support.records import random_planes, write_image_list

COUNT = 11
LABELS = [3, 0, 7, 1, 9, 2, 5, 8, 4, 6, 10]


def image_layer(
    folder: Path, *, batch_size: int = 4, more: str = "", transform: str = ""
) -> caffe_pb2.LayerParameter:
    text = f"""name: "data" type: "ImageData" top: "data" top: "label" transform_param {{ {transform} }}
        image_data_param {{
          source: "{folder}/list.txt" root_folder: "{folder}/" batch_size: {batch_size} {more}
        }}"""
    return text_format.Parse(text, caffe_pb2.LayerParameter())


@contextmanager
def opened(layer: caffe_pb2.LayerParameter, **settings: int) -> Iterator[Feed]:
    feed = open_feed(layer, phase="TRAIN", seed=settings.pop("seed", 4), **settings)
    try:
        yield feed
    finally:
        feed.close()


def labels(feed: Feed, count: int) -> list[int]:
    """Returns the labels of the next `count` batches in a row."""
    return [int(label) for _ in range(count) for label in feed.next()[1]]


@pytest.fixture
def planes() -> list[np.ndarray]:
    return random_planes(COUNT, (3, 7, 13))


@pytest.fixture
def folder(tmp_path: Path, planes: list[np.ndarray]) -> Path:
    write_image_list(tmp_path / "images", planes, LABELS)
    return tmp_path / "images"


def test_images_come_in_the_order_of_the_list(folder: Path, planes: list[np.ndarray]) -> None:
    with opened(image_layer(folder)) as feed:
        for batch in range(5):
            data, found = feed.next()
            chosen = [(4 * batch + index) % COUNT for index in range(4)]
            assert found.tolist() == [LABELS[index] for index in chosen]
            assert np.array_equal(
                data.numpy(), np.stack([planes[index] for index in chosen]).astype(np.float32)
            )


def test_images_are_resized_as_opencv_does(folder: Path, planes: list[np.ndarray]) -> None:
    layer = image_layer(folder, more="new_height: 5 new_width: 17")
    assert record_shape(layer) == (3, 5, 17)
    with opened(layer) as feed:
        data, _ = feed.next()
    image = np.ascontiguousarray(planes[0].transpose(1, 2, 0))
    assert np.array_equal(data[0].numpy().transpose(1, 2, 0), cv2.resize(image, (17, 5)).astype(np.float32))


def test_gray(folder: Path) -> None:
    layer = image_layer(folder, more="is_color: false", batch_size=1)
    with opened(layer) as feed:
        data, label = feed.next()
    path = folder / f"of class {int(label)}" / "0.png"
    assert np.array_equal(data[0, 0].numpy(), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float32))


def test_shuffling_is_anew_each_time_round_and_each_image_comes_once(folder: Path) -> None:
    with opened(image_layer(folder, more="shuffle: true")) as feed:
        found = labels(feed, 11)
    epochs = [found[start : start + COUNT] for start in range(0, 44, COUNT)]
    assert all(sorted(epoch) == list(range(COUNT)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in [LABELS, *epochs]}) == 5
    with opened(image_layer(folder, more="shuffle: true"), seed=5) as feed:
        assert labels(feed, 11) != found


def test_going_on_is_exact_in_the_middle_of_a_shuffled_round(folder: Path) -> None:
    layer = image_layer(folder, more="shuffle: true rand_skip: 6", transform="crop_size: 5 mirror: true")
    with opened(layer) as feed:
        labels(feed, 4)
        position = feed.position()
        rest = [feed.next()[0].clone() for _ in range(5)]
    with opened(layer, workers=1) as feed:
        feed.restore(position)
        assert all(np.array_equal(feed.next()[0], batch) for batch in rest)


def test_skipping_moves_the_start_below_rand_skip(folder: Path) -> None:
    starts = set()
    for seed in range(40):
        with opened(image_layer(folder, more="rand_skip: 3"), seed=seed) as feed:
            found = labels(feed, 3)
        start = LABELS.index(found[0])
        starts.add(start)
        assert found == [LABELS[(start + index) % COUNT] for index in range(12)]
    assert starts == {0, 1, 2}


def test_ranks_share_one_order(folder: Path) -> None:
    layer = image_layer(folder, more="shuffle: true", batch_size=3)
    found = []
    for rank in range(2):
        with opened(layer, rank=rank, world=2) as feed:
            found.append(labels(feed, 6))
    with opened(image_layer(folder, more="shuffle: true", batch_size=6)) as feed:
        assert labels(feed, 6) == [label for pair in zip(*found, strict=True) for label in pair]


def test_missing_and_broken_images_are_named(folder: Path) -> None:
    paths = [folder / f"of class {label}" / f"{index}.png" for index, label in enumerate(LABELS)]
    paths[1].unlink()
    with (
        opened(image_layer(folder)) as feed,
        pytest.raises(DataError, match=r"list.txt:2: .*of class 0/1.png.*root_folder"),
    ):
        feed.next()
    paths[1].write_bytes(paths[2].read_bytes()[:-9])
    with (
        opened(image_layer(folder)) as feed,
        pytest.raises(DataError, match=r"of class 0/1.png' is truncated"),
    ):
        feed.next()


def test_settings_are_checked(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for more, words in (("new_height: 5", "new_width 0"), ("rand_skip: 5000", "rand_skip 5000")):
        with pytest.raises(NetError, match=words):
            open_feed(image_layer(folder, more=more), phase="TRAIN", seed=0)
    with opened(image_layer(folder, transform="force_gray: true")) as feed:
        assert feed.next()[0].shape[1] == 3
    assert "force_gray has no effect on ImageData" in caplog.text
    assert record_count(image_layer(folder)) == COUNT
