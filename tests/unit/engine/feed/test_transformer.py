"""The transformer against the loop oracle: every combination of its settings, on non-square records."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from caffeflow.engine.feed.draws import Draws
from caffeflow.engine.feed.settings import TransformSettings
from caffeflow.engine.feed.transformer import Transformer
from caffeflow.errors import DataError, NetError
from caffeflow.proto import caffe_pb2
from caffeflow.proto.binary import write_mean
from tests.support.oracles import transformer as oracle
from tests.support.records import random_planes

SHAPE = (3, 11, 17)
CROP = 5
MEAN_VALUES = (104.0, 117.5, 122.67)
MEAN_IMAGE = np.random.default_rng(5).uniform(0, 255, SHAPE).astype(np.float32)


def transformer(fields: str, *, phase: str = "TRAIN", seed: int = 1) -> Transformer:
    text = f'name: "data" type: "Data" transform_param {{ {fields} }}'
    layer = text_format.Parse(text, caffe_pb2.LayerParameter())
    settings = TransformSettings.read(layer)
    return Transformer(settings, phase=phase, draws=Draws(seed, layer.name), layer=layer.name)


def run(subject: Transformer, planes: list[np.ndarray], *, first: int = 0) -> np.ndarray:
    shape = subject.output_shape(planes[0].shape, "0")
    out = np.full((len(planes), *shape), np.nan, np.float32)
    subject.fill(planes, np.arange(first, first + len(planes)), out, name=str)
    if len({one.shape for one in planes}) == 1:  # the way of small records gives the same
        block = np.full_like(out, np.nan)
        subject.fill(np.stack(planes), np.arange(first, first + len(planes)), block, name=str)
        assert np.array_equal(block, out)
    return out


def possible_placements(
    planes: np.ndarray, *, crop: int, phase: str, mirror: bool
) -> list[dict[str, int | bool]]:
    """Returns every window and mirroring that Caffe might choose."""
    _, height, width = planes.shape
    slack = (height - crop, width - crop) if crop else (0, 0)
    if phase == "TEST":
        corners = [(slack[0] // 2, slack[1] // 2)]
    else:
        corners = list(product(range(slack[0] + 1), range(slack[1] + 1)))
    return [
        {"top": top, "left": left, "mirror": flipped}
        for (top, left), flipped in product(corners, (False, True) if mirror else (False,))
    ]


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
@pytest.mark.parametrize("crop", [0, CROP])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("mean", ["none", "one", "channels", "file"])
@pytest.mark.parametrize("scale", [1.0, 0.00390625])
def test_every_record_is_one_of_caffes_choices(
    tmp_path: Path, phase: str, crop: int, mirror: bool, mean: str, scale: float
) -> None:
    write_mean(tmp_path / "mean.binaryproto", MEAN_IMAGE)
    fields = {
        "none": "",
        "one": "mean_value: 127.5",
        "channels": " ".join(f"mean_value: {value}" for value in MEAN_VALUES),
        "file": f'mean_file: "{tmp_path}/mean.binaryproto"',
    }[mean]
    values = {"one": (127.5,), "channels": MEAN_VALUES}.get(mean, ())
    image = MEAN_IMAGE if mean == "file" else None
    subject = transformer(
        f"{fields} scale: {scale} crop_size: {crop} mirror: {str(mirror).lower()}", phase=phase
    )
    planes = random_planes(4, SHAPE)
    for record, result in zip(planes, run(subject, planes), strict=True):
        placements = possible_placements(record, crop=crop, phase=phase, mirror=mirror)
        matches = [
            np.array_equal(
                result,
                oracle.transform(
                    record, crop=crop, mean_values=values, mean_image=image, scale=scale, **placement
                ),
            )
            for placement in placements
        ]
        assert sum(matches) == 1


def test_all_windows_and_both_sides_occur_about_equally_often() -> None:
    ramp = np.arange(2 * 7 * 11, dtype=np.float32).reshape(2, 7, 11)
    out = run(transformer("crop_size: 5 mirror: true"), [ramp] * 4200)
    corners, counts = np.unique(out[:, 0, 0, [0, -1]], axis=0, return_counts=True)
    assert len(corners) == 3 * 7 * 2
    assert counts.min() > 60
    assert counts.max() < 145


def test_test_crop_is_the_centre_rounded_down() -> None:
    record = np.arange(8 * 13, dtype=np.float32).reshape(1, 8, 13)
    out = run(transformer("crop_size: 5", phase="TEST"), [record])
    assert out[0, 0, 0, 0] == 1 * 13 + 4


def test_choices_hang_on_seed_layer_and_record_not_on_the_batch() -> None:
    planes = random_planes(1, SHAPE) * 29
    whole = run(transformer("crop_size: 5 mirror: true"), planes)
    again = np.concatenate(
        [
            run(transformer("crop_size: 5 mirror: true"), planes[low : low + 7], first=low)
            for low in range(0, 29, 7)
        ]
    )
    assert np.array_equal(whole, again)
    assert not np.array_equal(whole, run(transformer("crop_size: 5 mirror: true", seed=2), planes))
    assert not np.array_equal(whole[:-1], whole[1:])


def test_records_of_different_sizes_share_a_batch_if_cropped() -> None:
    planes = [*random_planes(2, (3, 11, 17)), *random_planes(2, (3, 7, 5))]
    out = run(transformer("crop_size: 5", phase="TEST"), planes)
    for record, result in zip(planes, out, strict=True):
        top, left = (record.shape[1] - 5) // 2, (record.shape[2] - 5) // 2
        assert np.array_equal(result, oracle.transform(record, crop=5, top=top, left=left))


def test_float_records_are_taken_as_they_are() -> None:
    record = np.linspace(-3, 3, 3 * 11 * 17, dtype=np.float32).reshape(SHAPE)
    out = run(transformer("mean_value: 1 scale: 0.5"), [record])
    assert np.array_equal(out[0], oracle.transform(record, mean_values=(1.0,), scale=0.5))


def test_sizes_that_do_not_fit_are_both_named(tmp_path: Path) -> None:
    write_mean(tmp_path / "mean.binaryproto", MEAN_IMAGE)
    of_other_size = f'mean_file: "{tmp_path}/mean.binaryproto"'
    for fields, planes, words in (
        ("crop_size: 13", random_planes(1, SHAPE), ["3 x 11 x 17", "crop_size is 13"]),
        (of_other_size, random_planes(1, (3, 11, 16)), ["3 x 11 x 16", "3 x 11 x 17", "before cropping"]),
        ("mean_value: 1 mean_value: 2", random_planes(1, SHAPE), ["3 x 11 x 17", "2 mean_value"]),
        ("", [*random_planes(1, SHAPE), *random_planes(1, (3, 17, 11))], ["3 x 17 x 11", "3 x 11 x 17"]),
        (
            "crop_size: 5",
            [*random_planes(1, SHAPE), *random_planes(1, (1, 11, 17))],
            ["1 x 11 x 17", "3 x 5 x 5"],
        ),
    ):
        with pytest.raises(DataError) as caught:
            run(transformer(fields), planes)
        for word in ["layer 'data'", *words]:
            assert word in str(caught.value)


def test_a_mean_file_that_is_missing_or_none_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "page.binaryproto").write_text("<!DOCTYPE html>")
    for name, words in (("nowhere.binaryproto", "cannot read"), ("page.binaryproto", "HTML page")):
        with pytest.raises(DataError, match=words):
            transformer(f'mean_file: "{tmp_path}/{name}"')


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ('mean_file: "m.binaryproto" mean_value: 1', "mean_file and mean_value"),
        ("force_color: true force_gray: true", "force_color and force_gray"),
        ("crop_h: 5", "crop_h 5, crop_w 0"),
        ("resize_param { height: 5 }", "height 5, width 0"),
        ("distort_param { hue_prob: 0.5 }", "distort_param"),
        ("expand_param { prob: 0.5 }", "expand_param"),
        ("emit_constraint { }", "emit_constraint"),
    ],
)
def test_what_is_not_honoured_is_an_error(fields: str, words: str) -> None:
    with pytest.raises(NetError, match=words) as caught:
        transformer(fields)
    assert caught.value.layer == "data"


def test_every_field_of_the_message_is_read_or_refused() -> None:
    known = {
        "scale", "mirror", "crop_size", "mean_file", "mean_value", "force_color", "force_gray",
        "resize_param", "noise_param", "emit_constraint", "crop_h", "crop_w", "distort_param", "expand_param",
    }  # fmt: skip
    assert {field.name for field in caffe_pb2.TransformationParameter.DESCRIPTOR.fields} == known
