"""Copies of training images that are changed at random: which, in what order, and their pixels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np
import pytest

from caffeflow.augmentation import Augmentation
from caffeflow.data.build import BuildSettings, build
from caffeflow.data.jobs import arrange
from caffeflow.data.manifest import Manifest, read_manifest
from caffeflow.data.plan import difference, recorded
from caffeflow.data.sample import File, Job
from caffeflow.errors import DataError, UsageError
from caffeflow.proto.caffe_pb2 import Datum
from tests.support.boxed_images import boxed_listing
from tests.support.mixed_images import folder_content, mixed_listing
from tests.support.oracles import random_windows as oracle

ASKED = Augmentation(augment="inception", color_jitter=0.4)
COPIES = 3


def jobs(count: int) -> list[Job]:
    return [Job(name=f"{number}.png", label=number % 2, location=File(Path("/x"))) for number in range(count)]


def numbers(arranged: list[Job]) -> list[tuple[int, int]]:
    return [(int(job.name.removesuffix(".png")), job.copy) for job in arranged]


def test_copies_follow_the_images_list_after_list() -> None:
    arranged = arrange(jobs(3), limit=None, shuffle_seed=None, copies=2)
    assert numbers(list(arranged)) == [(number, copy) for copy in range(3) for number in range(3)]
    assert numbers(arranged[2:5]) == [(2, 0), (0, 1), (1, 1)]


def test_copies_are_shuffled_among_the_images() -> None:
    shuffled = numbers(list(arrange(jobs(50), limit=None, shuffle_seed=1, copies=2)))
    assert sorted(shuffled) == [(number, copy) for number in range(50) for copy in range(3)]
    firsts = Counter(copy for _, copy in shuffled[:75])
    assert min(firsts.values()) > 15
    unchanged = arrange(jobs(50), limit=None, shuffle_seed=1, copies=0)
    assert numbers(list(unchanged)) == numbers(list(arrange(jobs(50), limit=None, shuffle_seed=1)))


def test_a_limit_counts_images_not_copies() -> None:
    arranged = arrange(jobs(10), limit=2, shuffle_seed=None, copies=1)
    assert numbers(list(arranged)) == [(2, 0), (7, 0), (2, 1), (7, 1)]


def prepared(root: Path, out: Path, **settings: Any) -> Manifest:
    asked = {"augmentation": ASKED, "augment_copies": COPIES} | settings
    return build(mixed_listing(root, broken=False), BuildSettings(**asked), out, source="folder")


def records(folder: Path) -> list[tuple[str, Datum]]:
    with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return [(bytes(key).decode(), Datum.FromString(value)) for key, value in transaction.cursor()]


def pixels(datum: Datum) -> np.ndarray:
    if datum.encoded:
        return cv2.imdecode(np.frombuffer(datum.data, np.uint8), cv2.IMREAD_UNCHANGED)
    planes = np.frombuffer(datum.data, np.uint8).reshape(datum.channels, datum.height, datum.width)
    return planes.transpose(1, 2, 0)


@pytest.mark.parametrize("encode", ["raw", "png"])
def test_copies_are_windows_of_the_prepared_image(tmp_path: Path, encode: str) -> None:
    prepared(tmp_path / "images", tmp_path / "out", encode=encode, resize=(11, 7), shuffle=False, seed=6)
    found = records(tmp_path / "out" / "train_lmdb")
    assert len(found) == 47 * (1 + COPIES)
    for place, (key, datum) in enumerate(found):
        name, original = found[place % 47]
        assert key.partition("_")[2] == name.partition("_")[2]
        assert datum.label == original.label
        if place < 47:
            continue
        drawn = oracle.units(6, "augment_copies", place)
        window = oracle.window("inception", None, (11, 7), (11, 7), drawn)
        shown = oracle.shown(pixels(original), window, (11, 7))
        expected = np.clip(oracle.jittered(shown, 0.4, drawn), 0, 255)
        np.testing.assert_allclose(pixels(datum), expected, atol=2.3)


@pytest.mark.parametrize("backend", ["lmdb", "imagedata"])
def test_originals_and_val_are_as_without_copies(tmp_path: Path, backend: str) -> None:
    more = {"backend": backend, "encode": "png", "shuffle": False}
    with_copies = prepared(tmp_path / "images", tmp_path / "with", **more)
    plain = prepared(tmp_path / "images", tmp_path / "plain", **more, augmentation=None, augment_copies=None)
    assert with_copies.splits["train"].labels == {
        label: (1 + COPIES) * count for label, count in plain.splits["train"].labels.items()
    }
    assert with_copies.splits["val"] == plain.splits["val"]
    assert with_copies.splits["train"].unusual == plain.splits["train"].unusual
    if backend == "lmdb":
        assert records(tmp_path / "with" / "train_lmdb")[:47] == records(tmp_path / "plain" / "train_lmdb")
        return
    content, without = folder_content(tmp_path / "with"), folder_content(tmp_path / "plain")
    images = {name for name in without if name.endswith((".jpg", ".png"))}
    assert len(images) == 47 + 17
    assert {name: content[name] for name in images} == {name: without[name] for name in images}
    lines = bytes(content["train.txt"])
    assert lines.startswith(bytes(without["train.txt"]))
    assert len(lines.splitlines()) == 47 * (1 + COPIES)


def test_workers_do_not_change_the_copies_and_the_seed_does(tmp_path: Path) -> None:
    digests = [
        prepared(tmp_path / "images", tmp_path / name, workers=workers, seed=seed, shuffle=False)
        .splits["train"]
        .digest
        for name, workers, seed in (("one", 1, 0), ("three", 3, 0), ("other", 1, 1))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_gray_copies_are_gray(tmp_path: Path) -> None:
    manifest = prepared(tmp_path / "images", tmp_path / "out", gray=True, encode="raw")
    assert manifest.channels == 1


def test_the_manifest_tells_what_was_asked_and_others_are_other_datasets(tmp_path: Path) -> None:
    asked = Augmentation(rand_scale=(0.5, 1.0))
    prepared(tmp_path / "images", tmp_path / "out", augmentation=asked, augment_copies=1)
    settings = read_manifest(tmp_path / "out").settings
    assert settings["rand_scale"] == [0.5, 1.0]
    assert settings["augment_copies"] == 1
    again = prepared(tmp_path / "images", tmp_path / "out", augmentation=asked, augment_copies=1)
    assert again == read_manifest(tmp_path / "out")
    with pytest.raises(DataError, match=r"rand_scale was 0\.5 1\.0, now None.*--force replaces it"):
        prepared(tmp_path / "images", tmp_path / "out", augment_copies=1)


def test_datasets_of_earlier_versions_are_still_the_ones_asked_for() -> None:
    now = recorded(BuildSettings(), source="folder", origin={})
    before = {name: value for name, value in now.items() if name != "augment_copies"}
    assert difference(before, now) == ""
    assert not {"augment", "rand_scale", "color_jitter", "augmentation"} & set(now)


def test_broken_images_are_left_out_with_their_copies(tmp_path: Path) -> None:
    settings = BuildSettings(augmentation=ASKED, augment_copies=1)
    manifest = build(mixed_listing(tmp_path / "images"), settings, tmp_path / "out", source="folder")
    train = manifest.splits["train"]
    assert train.rejected == {"empty": 8, "truncated": 8}
    assert train.count == 2 * (47 - 4 - 4)


def test_boxes_are_refused(tmp_path: Path) -> None:
    settings = BuildSettings(augmentation=ASKED, augment_copies=1)
    with pytest.raises(
        UsageError, match=r"--augment inception --color-jitter 0\.4 does not move boxes along"
    ):
        build(boxed_listing(tmp_path / "images"), settings, tmp_path / "out", source="voc")
    assert not (tmp_path / "out").exists()


def test_half_of_what_is_needed_is_refused() -> None:
    with pytest.raises(UsageError, match="--augment-copies 2 does not say how the copies differ"):
        BuildSettings(augment_copies=2)
    with pytest.raises(UsageError, match=r"--augment crop: .* say how many of each with --augment-copies N"):
        BuildSettings(augmentation=Augmentation(augment="crop"))
    with pytest.raises(UsageError, match="--augment-copies is 0; expected at least 1"):
        BuildSettings(augmentation=ASKED, augment_copies=0)
