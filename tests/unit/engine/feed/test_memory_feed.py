"""MemoryData: batches of what a program gave, around the end, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf import text_format

from caffeflow.engine.feed.memory import MemoryFeed
from caffeflow.engine.feed.opening import open_feed
from caffeflow.errors import DataError, NetError
from caffeflow.proto.caffe_pb2 import LayerParameter

SIZES = "batch_size: 2 channels: 3 height: 5 width: 7"


def opened(sizes: str = SIZES) -> MemoryFeed:
    text = f'name: "given" type: "MemoryData" memory_data_param {{ {sizes} }}'
    feed = open_feed(text_format.Parse(text, LayerParameter(top=["data", "label"])), phase="TRAIN", seed=0)
    assert isinstance(feed, MemoryFeed)
    return feed


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(count * 105, dtype=np.float32).reshape(count, 3, 5, 7), np.arange(
        count, dtype=np.float32
    )


def test_batches_come_round() -> None:
    feed = opened()
    data, labels = rows(6)
    feed.give(data, labels.reshape(6, 1, 1, 1))
    for number in [0, 1, 2, 0, 1]:
        found, found_labels = feed.next()
        np.testing.assert_array_equal(found.numpy(), data[2 * number : 2 * number + 2])
        assert found_labels.tolist() == [2 * number, 2 * number + 1]


def test_new_arrays_begin_at_their_first_row_and_a_position_is_gone_back_to() -> None:
    feed = opened()
    feed.give(*rows(6))
    feed.next()
    position = feed.position()
    feed.give(*rows(6))
    assert feed.next()[1].tolist() == [0, 1]
    feed.restore(position)
    assert feed.next()[1].tolist() == [2, 3]


def test_without_data_it_says_who_gives_them() -> None:
    with pytest.raises(DataError, match=r"'given'.*set_input_arrays"):
        opened().next()


@pytest.mark.parametrize(
    ("data", "labels", "words"),
    [
        ((4, 3, 7, 5), (4,), "rows x 3 x 5 x 7; found 4 x 3 x 7 x 5"),
        ((4, 105), (4,), "found 4 x 105"),
        ((3, 3, 5, 7), (3,), "multiple of batch_size 2; found 3"),
        ((4, 3, 5, 7), (3,), "each of 4 rows; found 3"),
    ],
)
def test_arrays_that_do_not_fit(data, labels, words):
    with pytest.raises(DataError, match=words):
        opened().give(np.zeros(data, np.float32), np.zeros(labels, np.float32))


def test_all_sizes_must_be_given() -> None:
    with pytest.raises(NetError, match=r"'given'.*found 2 x 3 x 5 x 0"):
        opened("batch_size: 2 channels: 3 height: 5")
