"""AnnotatedData feeds: rows of boxes, order, threads, ranks, going on, labels alone, bare pixels, errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.feed.protocol import Feed
from caffeflow.engine.feed.sources import record_count, record_shape
from caffeflow.errors import DataError, NetError
from caffeflow.layers.data import AnnotatedParams, annotated_shapes
from caffeflow.proto import caffe_pb2
from caffeflow.proto.binary import write_mean
from tests.support.annotated_records import Row, annotated, annotated_layer, some_rows, write_annotated
from tests.support.oracles import annotated_augmentation as oracle
from tests.support.records import random_planes, write_raw_lmdb

COUNT = 7
WARP = "resize_param { height: 19 width: 23 }"
TRAINING = """mirror: true mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5
    resize_param { height: 19 width: 23 interp_mode: LINEAR interp_mode: AREA interp_mode: NEAREST }
    emit_constraint { emit_type: CENTER } expand_param { prob: 0.5 max_expand_ratio: 3 }
    distort_param { brightness_prob: 0.5 brightness_delta: 32 hue_prob: 0.5 hue_delta: 18 }
    noise_param { saltpepper: true saltpepper_param { fraction: 0.1 value: 5 } }"""
SAMPLERS = """batch_sampler { max_sample: 1 max_trials: 1 }
    batch_sampler { sampler { min_scale: 0.3 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }
                    sample_constraint { min_jaccard_overlap: 0.1 } max_sample: 1 max_trials: 20 }"""

Batch = tuple[np.ndarray, ...]


@contextmanager
def opened(layer: caffe_pb2.LayerParameter, phase: str = "TRAIN", **settings: int) -> Iterator[Feed]:
    feed = open_feed(layer, phase=phase, seed=settings.pop("seed", 4), **settings)
    try:
        yield feed
    finally:
        feed.close()


def batches(feed: Feed, count: int) -> list[Batch]:
    return [tuple(top.numpy().copy() for top in feed.next()) for _ in range(count)]


def same(one: list[Batch], other: list[Batch]) -> bool:
    return all(
        np.array_equal(a, b)
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left, right, strict=True)
    )


@pytest.fixture
def planes() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    sizes = [(3, int(rng.integers(20, 60)), int(rng.integers(20, 60))) for _ in range(COUNT)]
    return [rng.integers(0, 256, size, np.uint8) for size in sizes]


@pytest.fixture
def rows() -> list[list[Row]]:
    return [some_rows(np.random.default_rng(index), (3, 0, 5, 1, 0, 0, 4)[index]) for index in range(COUNT)]


@pytest.fixture
def boxed(tmp_path: Path, planes: list[np.ndarray], rows: list[list[Row]]) -> Path:
    values = [annotated(one, these) for one, these in zip(planes, rows, strict=True)]
    return write_annotated(tmp_path / "boxed_lmdb", values)


def as_image(planes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def test_a_test_net_sees_each_record_resized_with_all_its_boxes_clipped(
    boxed: Path, planes: list[np.ndarray], rows: list[list[Row]]
) -> None:
    stream = 0
    with opened(annotated_layer(boxed, transform=f"{WARP} mean_value: 9 scale: 0.25"), "TEST") as feed:
        for data, second in batches(feed, 5):
            assert data.shape == (3, 3, 19, 23)
            expected = []
            for item in range(3):
                number = stream % COUNT
                image = cv2.resize(as_image(planes[number]), (23, 19), interpolation=cv2.INTER_LINEAR)
                pixels = (image.transpose(2, 0, 1).astype(np.float32) - np.float32(9)) * np.float32(0.25)
                assert np.array_equal(data[item], pixels)
                for label, instance, *corners, difficult in rows[number]:
                    box = oracle.resized_box(
                        oracle.single(corners), mode="WARP", old=planes[number].shape[1:], new=(19, 23)
                    )
                    placed = oracle.project(oracle.single((0, 0, 1, 1)), box)
                    if placed is not None:
                        expected.append([item, label, instance, *placed, difficult])
                stream += 1
            assert second.shape == (1, 1, max(len(expected), 1), 8)
            assert np.array_equal(second[0, 0], np.array(expected or [[-1] * 8], np.float32))


def test_a_batch_without_boxes_has_one_row_of_minus_one(boxed: Path) -> None:
    with opened(annotated_layer(boxed, batch_size=1, transform=WARP), "TEST") as feed:
        seconds = [second for _, second in batches(feed, COUNT)]
    assert [second.shape[2] for second in seconds][4:6] == [1, 1]
    assert (seconds[4] == -1).all()
    assert (seconds[0] != -1).any()


def test_threads_do_not_change_the_batches(boxed: Path) -> None:
    layer = annotated_layer(boxed, batch_size=13, transform=TRAINING, annotation=SAMPLERS)
    found = []
    for workers in (1, 10):
        with opened(layer, workers=workers) as feed:
            found.append(batches(feed, 8))
    assert same(*found)
    with opened(layer, seed=5) as feed:
        assert not same(found[0], batches(feed, 8))


def test_records_come_out_differently_each_time_round(boxed: Path) -> None:
    layer = annotated_layer(boxed, batch_size=COUNT, transform=TRAINING, annotation=SAMPLERS)
    with opened(layer) as feed:
        first, second = batches(feed, 2)
    assert not np.array_equal(first[0], second[0])


def test_a_record_does_not_hang_on_its_batch(boxed: Path) -> None:
    found = []
    for size in (2, 3, 6):
        layer = annotated_layer(boxed, batch_size=size, transform=TRAINING, annotation=SAMPLERS)
        with opened(layer) as feed:
            found.append(np.concatenate([data for data, _ in batches(feed, 12 // size)]))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_ranks_share_the_records_and_number_items_by_themselves(boxed: Path) -> None:
    settings = {"transform": TRAINING, "annotation": SAMPLERS}
    with opened(annotated_layer(boxed, batch_size=6, **settings)) as feed:
        together = batches(feed, 4)
    for rank in range(2):
        with opened(annotated_layer(boxed, batch_size=3, **settings), rank=rank, world=2) as feed:
            own = batches(feed, 4)
        for (data, second), (whole, all_rows) in zip(own, together, strict=True):
            assert np.array_equal(data, whole[rank::2])
            for item in range(3):
                mine = second[0, 0, second[0, 0, :, 0] == item, 1:]
                assert np.array_equal(mine, all_rows[0, 0, all_rows[0, 0, :, 0] == 2 * item + rank, 1:])


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_going_on_from_a_position_is_exact(boxed: Path, taken: int) -> None:
    layer = annotated_layer(boxed, transform=TRAINING, annotation=SAMPLERS)
    with opened(layer) as feed:
        batches(feed, taken)
        position = feed.position()
        rest = batches(feed, 5)
    assert position == {"record": 3 * taken}
    with opened(layer) as feed:
        feed.restore(position)
        assert same(batches(feed, 5), rest)


def test_mirrored_pictures_have_mirrored_boxes(tmp_path: Path) -> None:
    image = np.zeros((3, 20, 40), np.uint8)
    image[:, 5:10, 4:12] = 255
    source = write_annotated(tmp_path / "one", [annotated(image, [(1, 0, 0.1, 0.25, 0.3, 0.5, False)])])
    seen = set()
    with opened(annotated_layer(source, batch_size=1, transform="mirror: true")) as feed:
        for data, second in batches(feed, 20):
            columns = np.flatnonzero(data[0, 0, 7]) / 40
            xmin, ymin, xmax, ymax = second[0, 0, 0, 3:7]
            assert columns[0] == pytest.approx(xmin)
            assert columns[-1] + 1 / 40 == pytest.approx(xmax)
            assert (ymin, ymax) == (0.25, 0.5)
            seen.add(round(float(xmin), 3))
    assert seen == {0.1, 0.7}


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_augmentation_does_not_hang_on_the_phase_but_the_crop_does(boxed: Path, phase: str) -> None:
    samplers = "batch_sampler { sampler { min_scale: 0.3 max_scale: 0.5 } max_sample: 1 }"
    with opened(annotated_layer(boxed, batch_size=COUNT, transform=WARP, annotation=samplers), phase) as feed:
        first, second = batches(feed, 2)
    assert not np.array_equal(first[0], second[0])
    crop = f"{WARP} crop_h: 11 crop_w: 13"  # a random crop without mirror, at which Caffe ends
    with opened(annotated_layer(boxed, batch_size=COUNT, transform=crop), phase) as feed:
        cut = batches(feed, 2)
    with opened(annotated_layer(boxed, batch_size=COUNT, transform=WARP), phase) as feed:
        whole = batches(feed, 2)
    centred = all(
        np.array_equal(one[0], other[0][:, :, 4:15, 5:18]) for one, other in zip(cut, whole, strict=True)
    )
    assert cut[0][0].shape == (COUNT, 3, 11, 13)
    assert centred == (phase == "TEST")


def test_a_crop_takes_its_boxes_along(tmp_path: Path) -> None:
    image = np.zeros((3, 20, 40), np.uint8)
    rows: list[Row] = [(1, 0, 0.5, 0.5, 0.75, 1, False), (2, 0, 0, 0, 0.2, 0.2, True)]
    source = write_annotated(tmp_path / "one", [annotated(image, rows)])
    layer = annotated_layer(source, batch_size=1, transform="crop_h: 10 crop_w: 20")
    with opened(layer, "TEST") as feed:
        _, second = feed.next()
    assert second[0, 0].tolist() == [[0, 1, 0, 0.5, 0.5, 1, 1, 0]]


def test_pictures_that_fit_the_small_side_come_one_by_one_in_their_sizes(
    boxed: Path, planes: list[np.ndarray]
) -> None:
    small = "resize_param { resize_mode: FIT_SMALL_SIZE height: 19 width: 23 }"
    layer = annotated_layer(boxed, batch_size=1, transform=small)
    with opened(layer, "TEST") as feed:
        for (data, _), image in zip(batches(feed, COUNT), planes, strict=True):
            expected = oracle.resized_picture(
                as_image(image), mode="FIT_SMALL_SIZE", height=19, width=23, interpolation=cv2.INTER_LINEAR
            )
            assert np.array_equal(data[0], expected.transpose(2, 0, 1))
    with pytest.raises(NetError, match="batch_size is 2, but resize_mode FIT_SMALL_SIZE"):
        open_feed(annotated_layer(boxed, batch_size=2, transform=small), phase="TEST", seed=0)


def test_records_with_labels_alone_give_labels(tmp_path: Path) -> None:
    planes = random_planes(5, (3, 20, 30))
    values = [annotated(one, label=40 + index, typed=False) for index, one in enumerate(planes)]
    source = write_annotated(tmp_path / "labelled", values)
    layer = annotated_layer(source, transform=TRAINING, annotation=SAMPLERS)
    assert record_shape(layer) == (3, 20, 30, 1)
    shapes = annotated_shapes(AnnotatedParams.read(layer), [record_shape(layer)])
    with opened(layer) as feed:
        found = batches(feed, 2)
    assert [top.shape for top in found[0]] == shapes == [(3, 3, 19, 23), (3, 1, 1, 1)]
    assert found[0][1].ravel().tolist() == [40, 41, 42]
    assert found[1][1].ravel().tolist() == [43, 44, 40]
    given = annotated_layer(source, transform=WARP, annotation="anno_type: BBOX")
    with opened(given) as feed:
        assert (feed.next()[1].numpy() == -1).all()


def test_a_record_without_a_type_among_typed_ones_is_refused(tmp_path: Path) -> None:
    planes = random_planes(2, (3, 20, 30))
    source = write_annotated(tmp_path / "mixed", [annotated(planes[0]), annotated(planes[1], typed=False)])
    with (
        opened(annotated_layer(source, transform=WARP)) as feed,
        pytest.raises(DataError, match=r"'.*00000001_1.png' has no annotation type"),
    ):
        feed.next()
    with opened(annotated_layer(source, transform=WARP, annotation="anno_type: BBOX")) as feed:
        feed.next()


def test_shapes_and_counts_are_known_without_a_feed(boxed: Path, planes: list[np.ndarray]) -> None:
    layer = annotated_layer(boxed, transform=WARP, annotation='label_map_file: "labelmap.prototxt"')
    assert record_count(layer) == COUNT
    assert record_shape(layer) == planes[0].shape
    params = AnnotatedParams.read(layer)
    assert params.label_map_file == "labelmap.prototxt"
    assert annotated_shapes(params, [planes[0].shape]) == [(3, 3, 19, 23), (1, 1, 1, 8)]


def test_one_top_means_pictures_alone(boxed: Path) -> None:
    with opened(annotated_layer(boxed, transform=TRAINING, annotation=SAMPLERS, tops=1)) as feed:
        assert [top.shape for top in feed.next()] == [(3, 3, 19, 23)]


def test_bare_pixels_are_expanded_with_blanks_and_not_distorted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    planes = random_planes(3, (3, 17, 13))
    values = [annotated(one, [(1, 0, 0, 0, 1, 1, False)], kind="raw") for one in planes]
    source = write_annotated(tmp_path / "raw", values)
    distort = "distort_param { brightness_prob: 1 brightness_delta: 99 }"
    expand = "mean_value: 5 expand_param { max_expand_ratio: 2 }"
    with (
        opened(annotated_layer(source, batch_size=1, transform=f"{expand} {distort}")) as feed,
        caplog.at_level(logging.WARNING),
    ):
        found = batches(feed, 3)
    assert "distort_param have no effect on bare pixels" in caplog.text
    for (data, second), original in zip(found, planes, strict=True):
        pixels = data[0] + 5
        _, height, width = pixels.shape
        top, left = np.round(second[0, 0, 0, [4, 3]] * [height, width]).astype(int)
        assert np.array_equal(pixels[:, top : top + 17, left : left + 13], original)
        assert (pixels == 32).all(axis=0).sum() == height * width - 17 * 13


def test_bare_pixels_go_by_the_plain_rule_of_means(tmp_path: Path) -> None:
    (one,) = random_planes(1, (3, 11, 17))
    source = write_annotated(tmp_path / "raw", [annotated(one, kind="raw")])
    mean = np.random.default_rng(2).uniform(0, 255, (3, 11, 17)).astype(np.float32)
    write_mean(tmp_path / "mean.binaryproto", mean)
    fields = f'mean_file: "{tmp_path}/mean.binaryproto" mirror: true crop_size: 5'
    wanted = (one.astype(np.float32) - mean)[:, 3:8, 6:11]
    seen = set()
    with opened(annotated_layer(source, batch_size=1, transform=fields), "TEST") as feed:
        for data, _ in batches(feed, 12):
            seen.add((np.array_equal(data[0], wanted), np.array_equal(data[0], wanted[:, :, ::-1])))
    assert seen == {(True, False), (False, True)}


@pytest.mark.parametrize("fields", [WARP, "noise_param { inverse: true }", "crop_h: 5 crop_w: 5"])
def test_what_does_not_act_on_bare_pixels_is_refused(tmp_path: Path, fields: str) -> None:
    source = write_annotated(tmp_path / "raw", [annotated(random_planes(1, (3, 7, 7))[0], kind="raw")])
    with pytest.raises(DataError, match=r"holds bare pixels, and resize_param.*--encode jpg"):
        open_feed(annotated_layer(source, transform=fields), phase="TRAIN", seed=0)


def test_sizes_that_differ_are_named_with_advice(boxed: Path) -> None:
    with (
        opened(annotated_layer(boxed)) as feed,
        pytest.raises(DataError, match=r"layer 'data': '.*' is 3 x .*set resize_param or crop_size"),
    ):
        feed.next()


def test_gray_among_colour_pictures_is_refused_or_forced(tmp_path: Path) -> None:
    values = [annotated(random_planes(1, (channels, 20, 30))[0]) for channels in (3, 1)]
    source = write_annotated(tmp_path / "mixed", values)
    with (
        opened(annotated_layer(source, transform=WARP)) as feed,
        pytest.raises(DataError, match=r"1 x 20 x 30.*set force_color"),
    ):
        feed.next()
    with opened(annotated_layer(source, transform=f"{WARP} force_color: true")) as feed:
        assert feed.next()[0].shape == (3, 3, 19, 23)
    hue = f"{WARP} distort_param {{ hue_prob: 0.5 hue_delta: 9 }}"
    with (
        opened(annotated_layer(source, transform=hue)) as feed,
        pytest.raises(DataError, match="it has 1 channel, and distort_param needs 3"),
    ):
        feed.next()


def test_the_first_record_is_looked_at_on_opening(boxed: Path) -> None:
    for fields, words in (
        (f"{WARP} crop_size: 29", "crop_size is 29"),
        (f"{WARP} mean_value: 1 mean_value: 2", "2 mean_value"),
    ):
        with pytest.raises(DataError, match=words):
            open_feed(annotated_layer(boxed, transform=fields), phase="TRAIN", seed=0)
    import lmdb

    lmdb.open(str(boxed)).close()  # would raise if it were still open in this process


def test_a_database_of_plain_datums_is_refused_with_advice(tmp_path: Path) -> None:
    source = write_raw_lmdb(tmp_path / "plain", random_planes(2, (3, 7, 5)))
    with pytest.raises(DataError, match="is not an AnnotatedDatum"):
        open_feed(annotated_layer(source, transform=WARP), phase="TRAIN", seed=0)
