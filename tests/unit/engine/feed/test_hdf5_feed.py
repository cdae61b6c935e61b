"""HDF5Data: rows in order across the ends of files, shuffled ones each once, and what is refused."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from google.protobuf import text_format

from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.feed.protocol import Feed
from caffeflow.engine.feed.sources import record_count, record_shape
from caffeflow.errors import CaffeflowError, DataError, NetError
from caffeflow.proto.caffe_pb2 import LayerParameter
from tests.support.hdf5_rows import ROW, write_rows

COUNTS = (5, 2, 7)
ROWS = sum(COUNTS)


def layer_of(source: Path, *, more: str = "", tops: tuple[str, ...] = ("data", "label")) -> LayerParameter:
    text = f'name: "rows" type: "HDF5Data" hdf5_data_param {{ source: "{source}" batch_size: 3 {more} }}'
    return text_format.Parse(text, LayerParameter(top=tops))


def labels_of(feed: Feed, batches: int) -> list[int]:
    """Returns the labels of some batches, whose data are those of the same rows."""
    found = []
    for _ in range(batches):
        data, label = feed.next()
        assert data.shape == (3, *ROW)
        expected = 100 * label.numpy().reshape(3, 1, 1) + np.arange(6).reshape(ROW)
        np.testing.assert_array_equal(data.numpy(), expected)
        found += [int(value) for value in label]
    return found


def test_rows_come_in_order_across_files_and_around_the_end(tmp_path: Path) -> None:
    layer = layer_of(write_rows(tmp_path, COUNTS))
    with closing(open_feed(layer, phase="TRAIN", seed=3)) as feed:
        assert labels_of(feed, 14) == [number % ROWS for number in range(3 * 14)]
    assert record_shape(layer) == [ROW, ()]
    assert record_count(layer) == ROWS


def test_shuffled_files_stay_together_and_every_row_comes_once_a_round(tmp_path: Path) -> None:
    layer = layer_of(write_rows(tmp_path, COUNTS), more="shuffle: true")
    with closing(open_feed(layer, phase="TRAIN", seed=3)) as feed:
        labels = labels_of(feed, 14)
    rounds = [labels[begin : begin + ROWS] for begin in range(0, 3 * ROWS, ROWS)]
    assert all(sorted(one) == list(range(ROWS)) for one in rounds)
    assert len({tuple(one) for one in rounds}) == 3
    files = [0] * 5 + [1] * 2 + [2] * 7
    for one in rounds:
        turns = [files[label] for label in one]
        assert sum(a != b for a, b in pairwise(turns)) == len(COUNTS) - 1


def test_a_restored_feed_goes_on_exactly(tmp_path: Path) -> None:
    layer = layer_of(write_rows(tmp_path, COUNTS), more="shuffle: true")
    with closing(open_feed(layer, phase="TRAIN", seed=3)) as feed:
        labels_of(feed, 4)
        position = feed.position()
        expected = labels_of(feed, 9)
    with closing(open_feed(layer, phase="TRAIN", seed=3)) as other:
        other.restore(position)
        assert labels_of(other, 9) == expected


def test_ranks_share_the_rows(tmp_path: Path) -> None:
    layer = layer_of(write_rows(tmp_path, COUNTS), more="shuffle: true")
    with closing(open_feed(layer, phase="TRAIN", seed=3)) as alone:
        together = labels_of(alone, 8)
    shares = []
    for rank in range(2):
        with closing(open_feed(layer, phase="TRAIN", seed=3, rank=rank, world=2)) as feed:
            shares.append(labels_of(feed, 4))
    assert shares == [together[rank::2] for rank in range(2)]


def test_whole_numbers_and_any_number_of_tops_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["ids"] = np.arange(4, dtype=np.uint8)
    (tmp_path / "files.txt").write_text(f"{tmp_path}/one.h5")
    with closing(open_feed(layer_of(tmp_path / "files.txt", tops=("ids",)), phase="TEST", seed=0)) as feed:
        (ids,) = feed.next()
    assert ids.tolist() == [0, 1, 2]


def no_file(folder: Path) -> None:
    (folder / "rows_1.h5").unlink()


def no_hdf5(folder: Path) -> None:
    (folder / "rows_1.h5").write_text("something else")


def other_shape(folder: Path) -> None:
    with h5py.File(folder / "rows_1.h5", "w") as file:
        file["data"], file["label"] = np.zeros((2, 3, 2)), np.zeros(2)


def other_rows(folder: Path) -> None:
    with h5py.File(folder / "rows_1.h5", "w") as file:
        file["data"], file["label"] = np.zeros((2, *ROW)), np.zeros(3)


def no_label(folder: Path) -> None:
    with h5py.File(folder / "rows_1.h5", "w") as file:
        file["data"], file["other"] = np.zeros((2, *ROW)), np.zeros(2)


def text_label(folder: Path) -> None:
    with h5py.File(folder / "rows_1.h5", "w") as file:
        file["data"], file["label"] = np.zeros((2, *ROW)), np.array([b"a", b"b"])


def empty_list(folder: Path) -> None:
    (folder / "files.txt").write_text("\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_file, ["rows_1.h5", "cannot be read as HDF5"]),
        (no_hdf5, ["rows_1.h5", "cannot be read as HDF5"]),
        (other_shape, ["rows_1.h5", "'data'", "3 x 2", "2 x 3", "rows_0.h5"]),
        (other_rows, ["rows_1.h5", "'label' has 3 rows", "'data' has 2"]),
        (no_label, ["rows_1.h5", "no dataset 'label'", "data, other"]),
        (text_label, ["rows_1.h5", "'label'", "expected numbers"]),
        (empty_list, ["files.txt", "is empty"]),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path, spoil, words):
    source = write_rows(tmp_path, COUNTS)
    spoil(tmp_path)
    with pytest.raises(DataError) as caught:
        open_feed(layer_of(source), phase="TRAIN", seed=0)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hdf5_data_param { batch_size: 3 }", ["'rows'", "source is missing"]),
        ('hdf5_data_param { source: "x" }', ["'rows'", "batch_size is 0"]),
        (
            'hdf5_data_param { source: "x" batch_size: 3 } transform_param { scale: 2 }',
            ["'rows'", "does not transform"],
        ),
    ],
)
def test_settings_that_caffe_refuses(text, words):
    layer = text_format.Parse(f'name: "rows" type: "HDF5Data" {text}', LayerParameter(top=["data"]))
    with pytest.raises((NetError, CaffeflowError)) as caught:
        open_feed(layer, phase="TRAIN", seed=0)
    for word in words:
        assert word in str(caught.value)
