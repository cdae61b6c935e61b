"""How pictures come to a deployed net: by loops, and from the file again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.errors import DataError
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.workflows.bundle_preprocess import Preprocess, Preprocessor, read_preprocess

PICTURE = np.random.default_rng(1).integers(0, 256, (23, 31, 3), np.uint8)


def layer(**transform: object) -> LayerParameter:
    made = LayerParameter(name="data", type="Data", top=["data"])
    for name, value in transform.items():
        if isinstance(value, list):
            getattr(made.transform_param, name).extend(value)
        else:
            setattr(made.transform_param, name, value)
    return made


SQUASHED = Preprocess(
    input="data", size=(5, 5), channels=3, resize="squash", resize_values={"height": 11, "width": 13},
    param=layer(crop_size=5, mean_value=[104.5, 117.25, 123.68], scale=0.017),
)  # fmt: skip


def prepared(preprocess: Preprocess, picture: np.ndarray) -> np.ndarray:
    out = np.empty((1, *preprocess.shape), np.float32)
    Preprocessor(preprocess).fill([picture], out, name=lambda _: "a.png")
    return out[0]


def by_loops(record: np.ndarray, size: int, mean: np.ndarray, scale: float) -> np.ndarray:
    """Crops (C, H, W) in the centre, subtracts what stands there in the mean, scales."""
    channels, height, width = record.shape
    top, left = (height - size) // 2, (width - size) // 2
    made = np.empty((channels, size, size))
    for channel in range(channels):
        for row in range(size):
            for column in range(size):
                at = (channel, top + row, left + column)
                made[channel, row, column] = (float(record[at]) - float(mean[at])) * scale
    return made


def test_squash_crop_mean_and_scale() -> None:
    record = cv2.resize(PICTURE, (13, 11)).transpose(2, 0, 1)
    mean = np.broadcast_to(np.array([104.5, 117.25, 123.68])[:, None, None], record.shape)
    np.testing.assert_allclose(
        prepared(SQUASHED, PICTURE), by_loops(record, 5, mean, 0.017), rtol=0, atol=1e-5
    )


def test_a_mean_image_is_cropped_along() -> None:
    mean = np.random.default_rng(2).uniform(90, 140, (3, 11, 13)).astype(np.float32)
    preprocess = replace(SQUASHED, param=layer(crop_size=5), mean_image=mean)
    record = cv2.resize(PICTURE, (13, 11)).transpose(2, 0, 1)
    np.testing.assert_allclose(prepared(preprocess, PICTURE), by_loops(record, 5, mean, 1), rtol=0, atol=1e-4)


def test_the_shorter_side_keeps_the_aspect() -> None:
    preprocess = replace(SQUASHED, resize="short_side", resize_values={"size": 7}, param=layer(crop_size=5))
    record = cv2.resize(PICTURE, (round(31 * 7 / 23), 7)).transpose(2, 0, 1)
    expected = by_loops(record, 5, np.zeros(record.shape), 1)
    np.testing.assert_array_equal(prepared(preprocess, PICTURE), expected)


def test_gray_nets_take_colour_and_colour_nets_gray() -> None:
    gray = replace(SQUASHED, channels=1, param=layer(crop_size=5))
    expected = cv2.resize(cv2.cvtColor(PICTURE, cv2.COLOR_BGR2GRAY), (13, 11))[None]
    np.testing.assert_array_equal(prepared(gray, PICTURE), by_loops(expected, 5, np.zeros(expected.shape), 1))
    colour = prepared(replace(SQUASHED, param=layer(crop_size=5)), PICTURE[..., 0])
    assert (colour[0] == colour[1]).all()
    assert (colour[0] == colour[2]).all()


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    mean = np.random.default_rng(2).uniform(90, 140, (3, 11, 13)).astype(np.float32)
    odd = layer(crop_h=5, crop_w=3)
    odd.transform_param.resize_param.height = odd.transform_param.resize_param.width = 9
    for preprocess in (
        SQUASHED,
        replace(SQUASHED, param=layer(crop_size=5, scale=1 / 255), mean_image=mean),
        replace(SQUASHED, resize="min_max", resize_values={"min_dim": 9, "max_dim": 20}),
        replace(SQUASHED, resize="none", resize_values={}, param=odd, size=(5, 3)),
    ):
        preprocess.write(tmp_path)
        again = read_preprocess(tmp_path)
        assert again.as_json() == preprocess.as_json()
        np.testing.assert_array_equal(prepared(again, PICTURE), prepared(preprocess, PICTURE))


def test_numbers_stand_there_as_a_person_wrote_them(tmp_path: Path) -> None:
    SQUASHED.write(tmp_path)
    said = json.loads((tmp_path / "preprocess.json").read_text())
    assert said["mean"] == {"values": [104.5, 117.25, 123.68]}
    assert said["scale"] == 0.017
    assert set(said["meaning"]) >= {"resize", "crop", "mean", "scale", "order"}


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    free = replace(SQUASHED, resize="none", resize_values={}, param=layer())
    with pytest.raises(DataError, match=r"a\.png: comes to the net as 3 x 23 x 31, which takes 3 x 5 x 5"):
        prepared(free, PICTURE)
    with pytest.raises(DataError, match=r"preprocess\.json: cannot be read"):
        read_preprocess(tmp_path)
    (tmp_path / "preprocess.json").write_text('{"format": 2}')
    with pytest.raises(DataError, match="format is 2"):
        read_preprocess(tmp_path)
