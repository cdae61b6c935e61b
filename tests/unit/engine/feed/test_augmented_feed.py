"""Feeds that change pictures at random: against loops, by any threads and ranks, and where they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from caffeflow.augmentation import Augmentation
from caffeflow.engine.feed.augmented import check_augmented
from caffeflow.engine.feed.draws import Draws
from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.feed.protocol import Feed
from caffeflow.errors import DataError, NetError, UsageError
from caffeflow.proto import caffe_pb2
from caffeflow.proto.binary import write_mean
from tests.support.oracles import random_windows as oracle
from tests.support.records import (
    encoded_datum,
    picture_bytes,
    random_planes,
    write_image_list,
    write_lmdb,
    write_raw_lmdb,
)

COUNT, SEED = 11, 4
SIZE = (13, 17)
EVERYTHING = Augmentation(augment="inception", rand_scale=(0.2, 0.9), color_jitter=0.5)
ASKED = [
    Augmentation(augment="crop"),
    Augmentation(augment="crop", color_jitter=0.3),
    Augmentation(rand_scale=(0.3, 0.8)),
    EVERYTHING,
    Augmentation(color_jitter=0.4),
]


def layer_of(source: Path, *, transform: str = "", batch_size: int = 3) -> caffe_pb2.LayerParameter:
    kind = "ImageData" if source.suffix == ".txt" else "Data"
    field, more = ("data_param", "backend: LMDB")
    if kind == "ImageData":
        field, more = ("image_data_param", f'root_folder: "{source.parent}/"')
    text = f"""name: "data" type: "{kind}" top: "data" top: "label" transform_param {{ {transform} }}
        {field} {{ source: "{source}" batch_size: {batch_size} {more} }}"""
    return text_format.Parse(text, caffe_pb2.LayerParameter())


@contextmanager
def opened(
    layer: caffe_pb2.LayerParameter, asked: Augmentation | None, phase: str = "TRAIN", **settings: int
) -> Iterator[Feed]:
    feed = open_feed(layer, phase=phase, seed=SEED, augmentation=asked, **settings)
    try:
        yield feed
    finally:
        feed.close()


def batches(feed: Feed, count: int) -> list[np.ndarray]:
    return [feed.next()[0].numpy().copy() for _ in range(count)]


@pytest.fixture
def planes() -> list[np.ndarray]:
    return random_planes(COUNT, (3, *SIZE))


@pytest.fixture(params=["raw", "encoded", "list"])
def source(request: pytest.FixtureRequest, tmp_path: Path, planes: list[np.ndarray]) -> Path:
    if request.param == "raw":
        return write_raw_lmdb(tmp_path / "raw_lmdb", planes)
    if request.param == "list":
        return write_image_list(tmp_path, planes, list(range(COUNT)))
    return write_lmdb(
        tmp_path / "lmdb", [encoded_datum(picture_bytes(one), label) for label, one in enumerate(planes)]
    )


def expected(
    planes: np.ndarray, asked: Augmentation, number: int, wanted: tuple[int, int], *,
    mirror: bool, scale: float, values: tuple[float, ...] = (), image: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Returns one record (C, h, w) by loops: window, colours, mean, mirror, scale."""
    numbers = oracle.units(SEED, "data\0units", number)
    at = oracle.window(asked.augment, asked.rand_scale, planes.shape[1:], wanted, numbers)
    shown = oracle.shown(planes.transpose(1, 2, 0), at, wanted)
    if asked.color_jitter is not None:
        shown = np.clip(oracle.jittered(shown, asked.color_jitter, numbers), 0, 255)
    if image is not None:
        shown = shown - oracle.shown(image.transpose(1, 2, 0), at, wanted)
    elif values:
        shown = shown - np.array(values)
    if mirror and Draws(SEED, "data").below(2, np.array([number]), draw=0)[0]:
        shown = shown[:, ::-1]
    return shown.transpose(2, 0, 1) * scale


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.options)
def test_batches_are_the_oracles(source: Path, planes: list[np.ndarray], asked: Augmentation) -> None:
    transform = "crop_size: 13 mirror: true mean_value: 90 mean_value: 100 mean_value: 110 scale: 0.5"
    with opened(layer_of(source, transform=transform), asked) as feed:
        found = np.concatenate(batches(feed, 5))
    for number, record in enumerate(found):
        wanted = expected(
            planes[number % COUNT], asked, number, (13, 13), mirror=True, scale=0.5, values=(90, 100, 110)
        )
        # A pixel may be off by less than one in resizing and, times up to 1.5 of a factor, in colours.
        np.testing.assert_allclose(record, wanted, atol=0.5 * (2.5 if asked.color_jitter else 0.8))


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.options)
def test_a_mean_image_goes_with_the_window(
    tmp_path: Path, planes: list[np.ndarray], asked: Augmentation
) -> None:
    mean = np.random.default_rng(1).uniform(0, 255, (3, *SIZE)).astype(np.float32)
    write_mean(tmp_path / "mean.binaryproto", mean)
    source = write_raw_lmdb(tmp_path / "lmdb", planes)
    transform = f'mean_file: "{tmp_path}/mean.binaryproto" mirror: true crop_size: 11'
    with opened(layer_of(source, transform=transform), asked) as feed:
        found = np.concatenate(batches(feed, 3))
    for number, record in enumerate(found):
        wanted = expected(planes[number], asked, number, (11, 11), mirror=True, scale=1, image=mean)
        np.testing.assert_allclose(record, wanted, atol=2.5 if asked.color_jitter else 0.8)


def test_without_a_crop_records_keep_their_size(tmp_path: Path, planes: list[np.ndarray]) -> None:
    source = write_raw_lmdb(tmp_path / "lmdb", planes)
    for asked in ASKED:
        with opened(layer_of(source), asked) as feed:
            found = batches(feed, 1)[0]
        for number in range(3):
            wanted = expected(planes[number], asked, number, SIZE, mirror=False, scale=1)
            np.testing.assert_allclose(found[number], wanted, atol=2.5 if asked.color_jitter else 0.8)


def test_gray_and_float_records_are_changed_too(tmp_path: Path) -> None:
    gray = random_planes(COUNT, (1, *SIZE))
    with opened(layer_of(write_raw_lmdb(tmp_path / "gray", gray)), EVERYTHING) as feed:
        found = batches(feed, 1)[0]
    np.testing.assert_allclose(
        found[2], expected(gray[2], EVERYTHING, 2, SIZE, mirror=False, scale=1), atol=2.5
    )
    floats = [one.astype(np.float32) / 3 for one in random_planes(COUNT, (5, *SIZE))]
    values = [
        caffe_pb2.Datum(
            channels=5, height=SIZE[0], width=SIZE[1], float_data=one.ravel().tolist()
        ).SerializeToString()
        for one in floats
    ]
    layer = layer_of(write_lmdb(tmp_path / "floats", values))
    scaled = Augmentation(rand_scale=(0.3, 0.8))
    with opened(layer, scaled) as feed:
        found = batches(feed, 1)[0]
    np.testing.assert_allclose(
        found[1], expected(floats[1], scaled, 1, SIZE, mirror=False, scale=1), atol=1e-3
    )
    with pytest.raises(DataError, match=r"'the first record' is 5 x 13 x 17.*--color-jitter needs"):
        open_feed(layer, phase="TRAIN", seed=0, augmentation=EVERYTHING)


def test_float_values_have_no_colours_to_change(tmp_path: Path) -> None:
    datum = caffe_pb2.Datum(channels=1, height=2, width=3, float_data=[1.5] * 6)
    layer = layer_of(write_lmdb(tmp_path / "floats", [datum.SerializeToString()] * 3))
    with opened(layer, EVERYTHING) as feed, pytest.raises(DataError, match=r"0_0.png.*bytes, and .* float32"):
        feed.next()


def test_the_test_phase_sees_pictures_as_they_are(source: Path) -> None:
    layer = layer_of(source, transform="crop_size: 11 mirror: true")
    with opened(layer, None, "TEST") as plain, opened(layer, EVERYTHING, "TEST") as asked:
        assert np.array_equal(batches(plain, 3), batches(asked, 3))


def test_pictures_keep_the_side_that_they_had_without(tmp_path: Path, planes: list[np.ndarray]) -> None:
    """Of a window of everything only the mirror is left, which is drawn as ever."""
    layer = layer_of(write_raw_lmdb(tmp_path / "lmdb", planes), transform="mirror: true")
    with opened(layer, None) as plain, opened(layer, Augmentation(rand_scale=(1.0, 1.0))) as asked:
        assert np.array_equal(batches(plain, 5), batches(asked, 5))


def test_threads_do_not_change_the_batches(source: Path) -> None:
    layer = layer_of(source, transform="crop_size: 11 mirror: true", batch_size=7)
    found = []
    for workers in (1, 3):
        with opened(layer, EVERYTHING, workers=workers) as feed:
            found.append(batches(feed, 6))
    assert np.array_equal(*found)


def test_ranks_share_what_one_would_see(source: Path) -> None:
    transform = "crop_size: 11 mirror: true"
    by_rank = []
    for rank in range(2):
        with opened(layer_of(source, transform=transform), EVERYTHING, rank=rank, world=2) as feed:
            by_rank.append(batches(feed, 5))
    with opened(layer_of(source, transform=transform, batch_size=6), EVERYTHING) as feed:
        for whole, first, second in zip(batches(feed, 5), *by_rank, strict=True):
            assert np.array_equal(whole[0::2], first)
            assert np.array_equal(whole[1::2], second)


@pytest.mark.parametrize("taken", [1, 4])
def test_going_on_from_a_position_is_exact(source: Path, taken: int) -> None:
    layer = layer_of(source, transform="mirror: true")
    with opened(layer, EVERYTHING) as feed:
        batches(feed, taken)
        position = feed.position()
        rest = batches(feed, 6)
    with opened(layer, EVERYTHING) as feed:
        feed.restore(position)
        assert np.array_equal(batches(feed, 6), rest)


def test_no_epoch_is_like_another(tmp_path: Path, planes: list[np.ndarray]) -> None:
    layer = layer_of(write_raw_lmdb(tmp_path / "lmdb", planes), batch_size=COUNT)
    with opened(layer, Augmentation(rand_scale=(0.3, 0.8))) as feed:
        first, second = batches(feed, 2)
    assert not any(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_records_of_other_sizes_become_the_crops_size_where_windows_are_resized(tmp_path: Path) -> None:
    mixed = [*random_planes(2, (3, 29, 7)), *random_planes(2, (3, 5, 31))]
    path = write_raw_lmdb(tmp_path / "mixed", mixed)
    layer = layer_of(path, transform="crop_size: 11")
    with opened(layer, Augmentation(rand_scale=(0.5, 1.0))) as feed:
        assert {batch.shape for batch in batches(feed, 4)} == {(3, 3, 11, 11)}
    with pytest.raises(DataError, match="3 x 29 x 7, but crop_size is 11; make it smaller or prepare larger"):
        open_feed(layer, phase="TRAIN", seed=0, augmentation=Augmentation(augment="crop"))
    with (
        opened(layer_of(path), EVERYTHING) as feed,
        pytest.raises(DataError, match="3 x 5 x 31, but the batch is"),
    ):
        feed.next()


def test_a_mean_image_must_have_the_records_size(tmp_path: Path, planes: list[np.ndarray]) -> None:
    write_mean(tmp_path / "mean.binaryproto", np.zeros((3, 11, 11), np.float32))
    source = write_raw_lmdb(tmp_path / "lmdb", planes)
    layer = layer_of(source, transform=f'mean_file: "{tmp_path}/mean.binaryproto" crop_size: 11')
    with pytest.raises(DataError, match=r"mean_file .* is 3 x 11 x 11; it must have the size of the records"):
        open_feed(layer, phase="TRAIN", seed=0, augmentation=EVERYTHING)


def test_what_ssds_fork_knows_leaves_no_place(tmp_path: Path, planes: list[np.ndarray]) -> None:
    source = write_raw_lmdb(tmp_path / "lmdb", planes)
    layer = layer_of(source, transform="resize_param { prob: 1 resize_mode: WARP height: 5 width: 7 }")
    with pytest.raises(NetError, match=r"--augment crop and resize_param, .* exclude each other") as caught:
        open_feed(layer, phase="TRAIN", seed=0, augmentation=ASKED[0])
    assert caught.value.layer == "data"


def layers(*types: str) -> list[caffe_pb2.LayerParameter]:
    return [caffe_pb2.LayerParameter(name=f"{kind}{place}", type=kind) for place, kind in enumerate(types)]


def test_one_layer_alone_brings_the_pictures() -> None:
    check_augmented(layers("Data"), EVERYTHING)
    check_augmented(layers("HDF5Data", "ImageData"), EVERYTHING)
    with pytest.raises(
        UsageError, match=r"--augment crop is for nets with one .*; found 'Data0' and 'Data1'"
    ):
        check_augmented(layers("Data", "Data"), ASKED[0])
    with pytest.raises(UsageError, match=r"--augment crop is for nets with one .*; found none"):
        check_augmented(layers("HDF5Data"), ASKED[0])
    with pytest.raises(NetError, match=r"does not move boxes along; .*distort_param") as caught:
        check_augmented(layers("AnnotatedData"), ASKED[0])
    assert caught.value.layer == "AnnotatedData0"
