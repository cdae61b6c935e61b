"""WindowData against loops, how windows are drawn, and what is refused."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from google.protobuf import text_format

from caffeflow import images
from caffeflow.engine.feed.opening import open_feed
from caffeflow.errors import CaffeflowError, DataError
from caffeflow.proto.binary import write_mean
from caffeflow.proto.caffe_pb2 import LayerParameter
from tests.support.oracles.windows import crop_window
from tests.support.window_files import write_windows

CROP = 13
OBJECTS = [(5, 0.75, 7, 11, 29, 23), (2, 0.5, 0, 0, 12, 30)]
BACKGROUND = [(3, 0.25, 20, 5, 40, 38), (9, 0.125, 35, 3, 52, 40), (1, 0, 4, 6, 6, 40)]
BETWEEN = (7, 0.4, 1, 2, 3, 5)
IMAGES = [[OBJECTS[0], BACKGROUND[0], BETWEEN], [], [BACKGROUND[1], OBJECTS[1], BACKGROUND[2]]]


def layer_of(folder: Path, more: str = "", transform: str = "") -> LayerParameter:
    text = (
        f'name: "cut" type: "WindowData" window_data_param {{ source: "{folder}/windows.txt" batch_size: 7'
        f' bg_threshold: 0.3 fg_fraction: 0.3 root_folder: "{folder}/" {more} }}'
        f" transform_param {{ crop_size: {CROP} {transform} }}"
    )
    return text_format.Parse(text, LayerParameter(top=["data", "label"]))


def candidates(folder: Path, *, mirrors: tuple[bool, ...], **settings: object) -> dict[int, list[np.ndarray]]:
    """Returns all crops there may be, by label; background ones have 0."""
    found: dict[int, list[np.ndarray]] = {}
    for number, own in enumerate(IMAGES):
        for label, overlap, *corners in own:
            if 0.3 <= overlap < 0.5:
                continue
            picture = cv2.imread(str(folder / f"{number}.png"))
            for mirror in mirrors:
                crop = crop_window(
                    picture, corners, CROP, resize=images.resize_squash, mirror=mirror, **settings
                )
                found.setdefault(label if overlap >= 0.5 else 0, []).append(crop)
    return found


def mean_at(c: int, y: int, x: int) -> float:
    """The mean file's value of a crop's pixel: the centre of 17 x 15."""
    return 100 * c + 3 * (y + 1) + (x + 1)


@pytest.mark.parametrize(
    ("more", "transform", "settings"),
    [
        ("", "", {}),
        ("context_pad: 2", "mean_value: 100 mean_value: 110 mean_value: 120", {"context_pad": 2, "mean": (100, 110, 120)}),
        ('crop_mode: "square" scale: 0.5', "mean_value: 99", {"square": True, "scale": 0.5, "mean": (99,) * 3}),
        ('crop_mode: "square" context_pad: 3 cache_images: true', "", {"square": True, "context_pad": 3}),
        ("context_pad: 4", 'mean_file: "{mean}"', {"context_pad": 4, "mean": mean_at}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mirror", [False, True])
def test_every_crop_is_one_of_the_loops(tmp_path, more, transform, settings, mirror):
    write_windows(tmp_path, IMAGES)
    path = tmp_path / "mean.binaryproto"
    values = [[[100 * c + 3 * y + x for x in range(15)] for y in range(17)] for c in range(3)]
    write_mean(path, np.array(values, np.float32))
    transform = f"{transform} mirror: {str(mirror).lower()}".replace("{mean}", str(path))
    possible = candidates(tmp_path, mirrors=(False, True) if mirror else (False,), **settings)
    seen = set()
    with closing(open_feed(layer_of(tmp_path, more, transform), phase="TEST", seed=3)) as feed:
        for _ in range(9):
            data, labels = feed.next()
            assert labels[:5].tolist() == [0] * 5
            assert all(label in (2, 5) for label in labels[5:].tolist())
            for crop, label in zip(data.numpy(), labels.tolist(), strict=True):
                equal = [np.array_equal(crop, other) for other in possible[int(label)]]
                assert any(equal)
                seen.add((label, equal.index(True)))
    assert len(seen) == sum(map(len, possible.values()))


def test_batches_depend_on_the_seed_and_the_place_alone(tmp_path):
    write_windows(tmp_path, IMAGES)
    layer = layer_of(tmp_path, transform="mirror: true")

    def batches(workers: int, seed: int = 3, start: int = 0) -> list[torch.Tensor]:
        with closing(open_feed(layer, phase="TRAIN", seed=seed, workers=workers)) as feed:
            feed.restore({"record": start})
            return [feed.next()[0] for _ in range(4)]

    first = batches(1)
    assert all(torch.equal(a, b) for a, b in zip(first, batches(3), strict=True))
    assert torch.equal(first[3], batches(1, start=21)[0])
    assert not torch.equal(first[0], batches(1, seed=4)[0])


def test_scale_in_the_wrong_place_is_told(tmp_path, caplog):
    write_windows(tmp_path, IMAGES)
    with closing(open_feed(layer_of(tmp_path, transform="scale: 0.5"), phase="TRAIN", seed=0)):
        assert "'cut': scale in transform_param has no effect" in caplog.text


def spoilt(folder: Path, old: str, new: str) -> None:
    path = folder / "windows.txt"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("# 0\n", "0\n", ["image 0", "begins with '0'"]),
        ("# 2", "# 3", ["image 2", "is numbered 3", "gaps"]),
        ("\n3\n41", "\n1\n41", ["image 0", "1 channels"]),
        ("5 0.75", "0 0.75", ["image 0", "class 0"]),
        ("7 11 29", "7 11 2x", ["image 0", "2x"]),
        ("7 11 29", "7.5 11 29", ["image 0", "no whole number"]),
        ("1 0 4 6 6 40", "1 0 4", ["image 2", "3 windows are announced, 2 are there"]),
        ("41\n53\n3\n", "41\nwide\n3\n", ["image 0", "wide"]),
        ("41\n53\n3\n", f"41\n53\n{10**30}\n", ["image 0", f"{10**30} windows are announced"]),
        ("7 11 29", "nan 11 29", ["image 0", "no whole number"]),
        ("7 11 29", "1e20 11 29", ["image 0", "no whole number of 32 bits"]),
        ("5 0.75", "5 1e300", ["image 0", "overlap is no number of single precision"]),
        ("5 0.75", "5 nan", ["image 0", "overlap is no number"]),
    ],
)
def test_files_of_another_form_are_refused(tmp_path, old, new, words):
    write_windows(tmp_path, IMAGES)
    spoilt(tmp_path, old, new)
    with pytest.raises(DataError) as caught:
        open_feed(layer_of(tmp_path), phase="TRAIN", seed=0)
    for word in ["windows.txt", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(("own", "words"), [(OBJECTS, "overlap below 0.3"), (BACKGROUND, "overlap of 0.5")])
def test_both_kinds_of_windows_must_be_there(tmp_path, own, words):
    write_windows(tmp_path, [own])
    with pytest.raises(DataError, match=words):
        open_feed(layer_of(tmp_path), phase="TRAIN", seed=0)


def test_a_window_beyond_its_image_is_named(tmp_path):
    write_windows(tmp_path, [[(5, 0.75, 7, 11, 53, 23), BACKGROUND[0]]])
    with (
        closing(open_feed(layer_of(tmp_path), phase="TRAIN", seed=0)) as feed,
        pytest.raises(DataError, match=r"'cut'.*\(7, 11, 53, 23\).*0\.png.*41 x 53"),
    ):
        feed.next()


def test_an_image_that_is_not_there_is_named(tmp_path):
    write_windows(tmp_path, IMAGES)
    for path in tmp_path.glob("*.png"):
        path.unlink()
    with (
        closing(open_feed(layer_of(tmp_path), phase="TRAIN", seed=0)) as feed,
        pytest.raises(DataError, match=r"\.png' cannot be read.*root_folder"),
    ):
        feed.next()


@pytest.mark.parametrize(
    ("more", "transform", "words"),
    [
        ('crop_mode: "round"', "", "'round'; expected warp or square"),
        ("context_pad: 7", "", "context_pad is 7"),
        ("fg_fraction: 1.5", "", "fg_fraction is 1.5"),
        ("", "crop_size: 0", "crop_size is missing"),
        ("", "crop_h: 5", "crop_h in transform_param"),
        ("batch_size: 0", "", "batch_size is 0"),
        ("", "mean_value: 1 mean_value: 2", "2 mean_value"),
        ("", 'mean_file: "{mean}"', "3 x 11 x 19"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, more, transform, words):
    write_windows(tmp_path, IMAGES)
    write_mean(tmp_path / "mean.binaryproto", np.zeros((3, 11, 19), np.float32))
    layer = layer_of(tmp_path)
    text_format.Merge(f"window_data_param {{ {more} }}", layer)
    text_format.Merge(
        f"transform_param {{ {transform.replace('{mean}', str(tmp_path / 'mean.binaryproto'))} }}", layer
    )
    with pytest.raises(CaffeflowError, match=words) as caught:
        open_feed(layer, phase="TRAIN", seed=0)
    assert "'cut'" in str(caught.value)
