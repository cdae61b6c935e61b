"""DummyData: constant tops filled once, others anew for every batch, and again after going back."""

from __future__ import annotations

import pytest
import torch
from google.protobuf import text_format

from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.feed.protocol import Feed
from caffeflow.errors import NetError
from caffeflow.proto import caffe_pb2


def opened(fields: str, *, tops: int = 2, seed: int = 3) -> Feed:
    text = f'name: "dummy" type: "DummyData" dummy_data_param {{ {fields} }}'
    layer = text_format.Parse(text, caffe_pb2.LayerParameter(top=[f"top{index}" for index in range(tops)]))
    return open_feed(layer, phase="TRAIN", seed=seed)


SHAPES = "shape { dim: 2 dim: 3 dim: 5 dim: 7 } shape { dim: 11 }"
FILLERS = 'data_filler { type: "gaussian" std: 2 } data_filler { value: 4 }'


def test_without_fillers_all_is_zero() -> None:
    data, label = opened(SHAPES).next()
    assert data.shape == (2, 3, 5, 7)
    assert label.shape == (11,)
    assert not data.any()
    assert not label.any()


def test_one_filler_is_for_all_tops() -> None:
    tops = opened("num: 2 channels: 3 height: 5 width: 7 data_filler { value: 1.5 }").next()
    assert [top.shape for top in tops] == [(2, 3, 5, 7)] * 2
    assert all(bool((top == 1.5).all()) for top in tops)


def test_constant_tops_are_filled_once_and_others_each_time() -> None:
    feed = opened(f"{SHAPES} {FILLERS}")
    (first, constant), (second, again) = feed.next(), feed.next()
    assert not torch.equal(first, second)
    assert constant is again
    assert bool((constant == 4).all())


def test_going_on_from_a_position_is_exact() -> None:
    feed = opened(f"{SHAPES} {FILLERS}")
    made = [feed.next()[0] for _ in range(5)]
    feed.restore({"batch": 2})
    assert feed.position() == {"batch": 2}
    assert all(torch.equal(feed.next()[0], one) for one in made[2:])
    assert feed.position() == {"batch": 5}
    assert not torch.equal(opened(f"{SHAPES} {FILLERS}", seed=4).next()[0], made[0])
    feed.close()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (SHAPES + ' data_filler { type: "gausian" }', "gaussian"),
        (SHAPES + " num: 1", "one or the other"),
        (SHAPES + " data_filler { }" * 3, "3 data_filler for 2 tops"),
    ],
)
def test_settings_are_checked_on_opening(fields: str, words: str) -> None:
    with pytest.raises(NetError, match=words) as caught:
        opened(fields)
    assert caught.value.layer == "dummy"
