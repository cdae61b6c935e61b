"""Data feeds: order, wrap, threads, ranks, going on from a position, errors, memory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import text_format

from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.feed.protocol import Feed
from caffeflow.engine.feed.sources import record_count, record_shape
from caffeflow.errors import DataError, NetError
from caffeflow.proto import caffe_pb2
from tests.support.records import (
    encoded_datum,
    picture_bytes,
    random_planes,
    raw_datum,
    write_lmdb,
    write_raw_lmdb,
)

COUNT = 11
AUGMENTED = "crop_size: 5 mirror: true mean_value: 100 scale: 0.5"


def data_layer(
    source: Path, *, batch_size: int = 3, transform: str = "", more: str = ""
) -> caffe_pb2.LayerParameter:
    text = f"""name: "data" type: "Data" top: "data" top: "label" transform_param {{ {transform} }}
        data_param {{ source: "{source}" batch_size: {batch_size} backend: LMDB {more} }}"""
    return text_format.Parse(text, caffe_pb2.LayerParameter())


@contextmanager
def opened(layer: caffe_pb2.LayerParameter, phase: str = "TRAIN", **settings: int) -> Iterator[Feed]:
    feed = open_feed(layer, phase=phase, seed=settings.pop("seed", 4), **settings)
    try:
        yield feed
    finally:
        feed.close()


def batches(feed: Feed, count: int) -> list[tuple[np.ndarray, ...]]:
    return [tuple(top.numpy().copy() for top in feed.next()) for _ in range(count)]


def same(one: list[tuple[np.ndarray, ...]], other: list[tuple[np.ndarray, ...]]) -> bool:
    return all(
        np.array_equal(a, b)
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left, right, strict=True)
    )


@pytest.fixture
def planes() -> list[np.ndarray]:
    return random_planes(COUNT, (3, 7, 13))


@pytest.fixture
def raw(tmp_path: Path, planes: list[np.ndarray]) -> Path:
    return write_raw_lmdb(tmp_path / "raw_lmdb", planes)


@pytest.fixture
def encoded(tmp_path: Path, planes: list[np.ndarray]) -> Path:
    values = [encoded_datum(picture_bytes(one), label) for label, one in enumerate(planes)]
    return write_lmdb(tmp_path / "encoded_lmdb", values)


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
@pytest.mark.parametrize("kind", ["raw", "encoded"])
def test_batches_go_through_the_records_and_over_their_end(
    request: pytest.FixtureRequest, planes: list[np.ndarray], kind: str, phase: str
) -> None:
    with opened(data_layer(request.getfixturevalue(kind)), phase) as feed:
        stream = 0
        for data, labels in batches(feed, 9):
            expected = [(stream + index) % COUNT for index in range(3)]
            assert data.dtype == labels.dtype == np.float32
            assert labels.shape == (3,)
            assert labels.tolist() == expected
            assert np.array_equal(data, np.stack([planes[index] for index in expected]).astype(np.float32))
            stream += 3


def test_a_batch_may_be_larger_than_the_data(raw: Path) -> None:
    with opened(data_layer(raw, batch_size=25)) as feed:
        data, labels = feed.next()
    assert labels.tolist() == [index % COUNT for index in range(25)]
    assert data.shape == (25, 3, 7, 13)


def test_one_top_means_no_labels(raw: Path) -> None:
    layer = data_layer(raw)
    del layer.top[1]
    with opened(layer) as feed:
        assert [top.shape for top in feed.next()] == [(3, 3, 7, 13)]


@pytest.mark.parametrize("kind", ["raw", "encoded"])
def test_threads_do_not_change_the_batches(request: pytest.FixtureRequest, kind: str) -> None:
    layer = data_layer(request.getfixturevalue(kind), batch_size=7, transform=AUGMENTED)
    found = []
    for workers in (1, 3):
        with opened(layer, workers=workers) as feed:
            found.append(batches(feed, 12))
    assert same(*found)


def test_ranks_share_the_records_one_by_one(raw: Path) -> None:
    small = data_layer(raw, batch_size=3, transform=AUGMENTED)
    by_rank = []
    for rank in range(2):
        with opened(small, rank=rank, world=2) as feed:
            by_rank.append(batches(feed, 5))
            assert feed.position() == {"record": 30}
    with opened(data_layer(raw, batch_size=6, transform=AUGMENTED)) as feed:
        together = batches(feed, 5)
    for whole, first, second in zip(together, *by_rank, strict=True):
        for top in range(2):
            assert np.array_equal(whole[top][0::2], first[top])
            assert np.array_equal(whole[top][1::2], second[top])


def test_every_rank_tests_on_all_records(raw: Path) -> None:
    with opened(data_layer(raw), "TEST", rank=1, world=2) as feed:
        assert feed.next()[1].tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", ["raw", "encoded"])
@pytest.mark.parametrize("taken", [0, 1, 4, 9])
def test_going_on_from_a_position_is_exact(request: pytest.FixtureRequest, kind: str, taken: int) -> None:
    layer = data_layer(request.getfixturevalue(kind), transform=AUGMENTED)
    with opened(layer) as feed:
        batches(feed, taken)
        position = feed.position()  # other batches are made already, and do not count
        rest = batches(feed, 6)
    assert position == {"record": 3 * taken}
    with opened(layer) as feed:
        feed.restore(position)
        assert feed.position() == position
        assert same(batches(feed, 6), rest)
        feed.restore(position)
        assert same(batches(feed, 6), rest)


def test_a_position_counts_for_any_number_of_ranks(raw: Path) -> None:
    with opened(data_layer(raw, batch_size=6)) as feed:
        batches(feed, 2)
        position = feed.position()
        following = feed.next()[1].tolist()
    with opened(data_layer(raw, batch_size=3), rank=1, world=2) as feed:
        feed.restore(position)
        assert feed.next()[1].tolist() == following[1::2]


def test_an_error_comes_with_its_batch_and_stays(tmp_path: Path, planes: list[np.ndarray]) -> None:
    values = [encoded_datum(picture_bytes(one), label) for label, one in enumerate(planes)]
    for broken in (3, 4):  # the first of a batch is decoded where it is planned, others in a worker
        spoiled = [*values[:broken], values[broken][:-30], *values[broken + 1 :]]
        layer = data_layer(write_lmdb(tmp_path / f"spoiled_{broken}", spoiled))
        with opened(layer) as feed:
            assert feed.next()[1].tolist() == [0, 1, 2]
            for _ in range(2):
                with pytest.raises(DataError, match=f"0000000{broken}_{broken}.png"):
                    feed.next()
            assert feed.position() == {"record": 3}
            feed.restore({"record": 6})
            assert feed.next()[1].tolist() == [6, 7, 8]


def test_records_of_two_sizes_need_a_crop(tmp_path: Path, planes: list[np.ndarray]) -> None:
    mixed = [*planes[:4], *random_planes(4, (3, 17, 5))]
    path = write_raw_lmdb(tmp_path / "mixed", mixed)
    with opened(data_layer(path)) as feed:
        feed.next()
        with pytest.raises(DataError, match="3 x 17 x 5, but the batch is 3 x 7 x 13"):
            feed.next()
    with opened(data_layer(path, transform="crop_size: 5")) as feed:
        assert all(data.shape == (3, 3, 5, 5) for data, _ in batches(feed, 5))
    with opened(data_layer(path, batch_size=4)) as feed:  # Caffe: each batch may have a size of its own
        assert [data.shape for data, _ in batches(feed, 2)] == [(4, 3, 7, 13), (4, 3, 17, 5)]


def test_closing_ends_the_threads_and_lets_the_lmdb_go(encoded: Path) -> None:
    before = threading.active_count()
    feed = open_feed(data_layer(encoded), phase="TRAIN", seed=0, workers=3)
    feed.next()
    feed.close()
    assert threading.active_count() == before
    import lmdb

    lmdb.open(str(encoded)).close()  # would raise if it were still open in this process


def test_tensors_stay_as_they_are_while_somebody_holds_them(raw: Path) -> None:
    with opened(data_layer(raw, batch_size=COUNT)) as feed:
        first = feed.next()[0]
        held = [feed.next()[0][1:] for _ in range(12)]
        assert all(torch.equal(one, first[1:]) for one in held)
        assert len({one.data_ptr() for one in held}) == 12
        held.clear()
        addresses = {feed.next()[0].data_ptr() for _ in range(40)}
    assert len(addresses) <= 12  # memory that nobody holds is used again


def test_memory_does_not_grow(raw: Path) -> None:
    def resident_pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    batch = data_layer(raw, batch_size=500, transform="mirror: true scale: 0.5")  # half a megabyte
    with opened(batch, workers=2) as feed:
        for _ in range(40):
            feed.next()
        before = resident_pages()
        for _ in range(400):
            feed.next()
        grown_bytes = (resident_pages() - before) * 4096
    # 200 megabytes went through; what other tests left to the allocator makes some of noise.
    assert grown_bytes < 20 * 2**20


def test_first_record_and_count_without_a_feed(raw: Path, encoded: Path) -> None:
    assert record_shape(data_layer(raw, transform="crop_size: 5")) == (3, 7, 13)
    assert record_shape(data_layer(encoded, transform="force_gray: true")) == (1, 7, 13)
    assert record_count(data_layer(raw)) == COUNT


def test_forced_colour_counts_for_encoded_records_and_warns_of_others(
    raw: Path, encoded: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(data_layer(encoded, transform="force_gray: true")) as feed:
        assert feed.next()[0].shape == (3, 1, 7, 13)
    assert caplog.records == []
    with opened(data_layer(raw, transform="force_gray: true")) as feed, caplog.at_level(logging.WARNING):
        assert [data.shape for data, _ in batches(feed, 3)] == [(3, 3, 7, 13)] * 3
    assert len(caplog.records) == 1
    assert "no effect on bare pixels" in caplog.text


def test_rand_skip_is_ignored_aloud(raw: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(data_layer(raw, more="rand_skip: 5")) as feed:
        assert feed.next()[1].tolist() == [0, 1, 2]
    assert "rand_skip in data_param has no effect" in caplog.text


def test_leveldb_the_default_backend_is_refused_with_advice(raw: Path) -> None:
    layer = data_layer(raw)
    layer.data_param.ClearField("backend")
    with pytest.raises(NetError, match="backend: LMDB") as caught:
        open_feed(layer, phase="TRAIN", seed=0)
    assert caught.value.layer == "data"


def test_settings_and_sources_are_checked_on_opening(tmp_path: Path, raw: Path) -> None:
    with pytest.raises(DataError, match="no such LMDB"):
        open_feed(data_layer(tmp_path / "nowhere"), phase="TRAIN", seed=0)
    with pytest.raises(NetError, match="batch_size is 0") as caught:
        open_feed(data_layer(raw, batch_size=0), phase="TRAIN", seed=0)
    assert caught.value.layer == "data"
    with pytest.raises(NetError, match="distort_param"):
        open_feed(data_layer(raw, transform="distort_param { hue_prob: 0.5 }"), phase="TRAIN", seed=0)
    other = text_format.Parse('name: "conv" type: "ReLU" bottom: "a" top: "a"', caffe_pb2.LayerParameter())
    with pytest.raises(NetError, match="'ReLU' reads no records"):
        open_feed(other, phase="TRAIN", seed=0)


def test_float_records_reach_the_net(tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 2 * 3 * 5, dtype=np.float32)
    datum = caffe_pb2.Datum(channels=2, height=3, width=5, label=1, float_data=values.tolist())
    path = write_lmdb(
        tmp_path / "floats", [datum.SerializeToString(), raw_datum(random_planes(1, (2, 3, 5))[0], 2)]
    )
    with opened(data_layer(path, batch_size=2)) as feed:
        data, labels = feed.next()
    assert np.array_equal(data[0].numpy().ravel(), values)
    assert labels.tolist() == [1, 2]
