"""Sizes that resize_param gives, in single precision, and the shapes that data layers take from them."""

from __future__ import annotations

import pytest

from caffeflow.errors import NetError
from caffeflow.layers.data import AnnotatedParams, ResizeRule, annotated_shapes
from tests.support.annotated_records import layer_with

SOURCE = 'data_param { source: "lmdb" batch_size: %d } top: "data" top: "label"'


@pytest.mark.parametrize(
    ("mode", "size", "picture", "result"),
    [
        ("WARP", (375, 500), (300, 300), (300, 300)),
        ("FIT_SMALL_SIZE", (375, 500), (300, 400), (300, 400)),
        ("FIT_SMALL_SIZE", (500, 375), (400, 300), (400, 300)),
        ("FIT_SMALL_SIZE", (333, 500), (300, 450), (300, 450)),
        ("FIT_LARGE_SIZE_AND_PAD", (375, 500), (225, 300), (300, 300)),
        ("FIT_LARGE_SIZE_AND_PAD", (500, 333), (300, 199), (300, 300)),
        ("FIT_LARGE_SIZE_AND_PAD", (300, 300), (300, 300), (300, 300)),
    ],
)
def test_sizes_are_cut_off_to_whole_pixels(
    mode: str, size: tuple[int, int], picture: tuple[int, int], result: tuple[int, int]
) -> None:
    fields = f"transform_param {{ resize_param {{ resize_mode: {mode} height: 300 width: 300 }} }}"
    rule = ResizeRule.find(layer_with(fields))
    assert rule is not None
    assert rule.picture_size(*size) == picture
    assert rule.size(*size) == result


def test_single_precision_decides_where_double_would_say_otherwise() -> None:
    rule = ResizeRule(mode="FIT_SMALL_SIZE", height=300, width=300)
    others = [
        (height, width)
        for height in range(100, 400)
        for width in range(height + 1, 400)
        if rule.picture_size(height, width)[1] != int(width / height * 300)
    ]
    assert others  # 1.1 * 300 is 330 in one precision and 330.00000000000006 or 329.99 in the other


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ("", (2, 3, 40, 50)),
        ("resize_param { height: 30 width: 20 }", (2, 3, 30, 20)),
        ("resize_param { height: 30 width: 20 } crop_h: 7 crop_w: 9", (2, 3, 7, 9)),
        ("resize_param { height: 30 width: 20 } crop_size: 11 crop_h: 7", (2, 3, 11, 11)),
    ],
)
def test_pictures_are_resized_before_they_are_cropped(fields: str, shape: tuple[int, ...]) -> None:
    params = AnnotatedParams.read(layer_with(f"transform_param {{ {fields} }} {SOURCE % 2}"))
    assert annotated_shapes(params, [(3, 40, 50)]) == [shape, (1, 1, 1, 8)]
    assert annotated_shapes(params, [(3, 40, 50, 1)]) == [shape, (2, 1, 1, 1)]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("crop_h: 7", "crop_h 7, crop_w 0"),
        ("resize_param { height: 30 }", "height 30, width 0"),
        ("resize_param { height: 3 width: 3 resize_mode: FIT_SMALL_SIZE }", "batch_size is 2"),
    ],
)
def test_half_given_sizes_are_refused(fields: str, words: str) -> None:
    with pytest.raises(NetError, match=words):
        AnnotatedParams.read(layer_with(f"transform_param {{ {fields} }} {SOURCE % 2}"))


def test_a_crop_larger_than_the_resized_picture_is_refused() -> None:
    fields = "transform_param { resize_param { height: 30 width: 20 } crop_size: 21 }"
    params = AnnotatedParams.read(layer_with(f"{fields} {SOURCE % 2}"))
    with pytest.raises(NetError, match="crop 21 x 21 is larger than the records, which are 30 x 20"):
        annotated_shapes(params, [(3, 400, 500)])
