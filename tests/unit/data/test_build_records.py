"""Keys, labels and bytes of a build against a loop-written convert_imageset; the mean likewise."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from caffeflow.data.build import BuildSettings, build
from caffeflow.data.manifest import Manifest
from caffeflow.data.sample import File, Job, Listing, Pixels
from caffeflow.proto.binary import read_binaryproto
from caffeflow.proto.caffe_pb2 import Datum
from tests.support.mixed_images import CLASSES, file_bytes, mixed_listing, picture, write_images
from tests.support.oracles import convert_imageset as oracle


def records(folder: Path) -> list[tuple[bytes, bytes]]:
    with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return list(transaction.cursor())


def entries(jobs: list[Job]) -> list[tuple[str, int, bytes]]:
    """Returns the jobs as the oracle wants them; what we refuse as truncated is no image there either."""
    rows = []
    for number, job in enumerate(jobs):
        content = job.location.read()
        rows.append((job.name, job.label, b"" if number % 11 == 5 else content))
    return rows


def build_list(jobs: list[Job], out: Path, **settings: object) -> Manifest:
    return build(
        Listing(splits={"train": jobs}, class_names=CLASSES),
        BuildSettings(shuffle=False, **settings),
        out,
        source="list",
    )


SIZES = [None, (7, 5)]


@pytest.mark.parametrize(
    ("encode", "gray", "size"),
    [case for case in itertools.product(["raw", "jpg", "png"], [False, True], SIZES)
     if case != ("jpg", True, None) and case != ("png", True, None)],
)  # fmt: skip
def test_records_are_those_of_convert_imageset(
    tmp_path: Path, encode: str, gray: bool, size: tuple[int, int] | None
) -> None:
    jobs = write_images(tmp_path / "images", count=41)
    manifest = build_list(jobs, tmp_path / "out", encode=encode, gray=gray, resize=size)
    expected = oracle.convert(entries(jobs), gray=gray, size=size, encoding="" if encode == "raw" else encode)
    assert len(expected) == 34
    assert records(tmp_path / "out" / "train_lmdb") == expected
    assert manifest.splits["train"].count == 34
    assert manifest.splits["train"].rejected == {"empty": 3, "truncated": 4}
    assert manifest.splits["train"].labels == {0: 12, 1: 11, 2: 11}


@pytest.mark.parametrize("encode", ["jpg", "png"])
def test_gray_is_gray_even_where_caffe_would_keep_a_colour_file(tmp_path: Path, encode: str) -> None:
    jobs = write_images(tmp_path / "images", count=12, broken=False)
    build_list(jobs, tmp_path / "out", encode=encode, gray=True)
    found = records(tmp_path / "out" / "train_lmdb")
    assert len(found) == 12
    for _, value in found:
        datum = Datum.FromString(value)
        image = cv2.imdecode(np.frombuffer(datum.data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert image.ndim == 2


def test_gray_files_are_kept_as_they_are_where_gray_is_asked_for(tmp_path: Path) -> None:
    content = file_bytes(picture(1, height=7, width=11)[:, :, 0], "jpg")
    (tmp_path / "a.jpeg").write_bytes(content)
    build_list([Job(name="a.jpeg", label=2, location=File(tmp_path / "a.jpeg"))], tmp_path / "out",
               encode="jpg", gray=True)  # fmt: skip
    [(_, value)] = records(tmp_path / "out" / "train_lmdb")
    assert value == oracle.encoded_datum(content, 2)


@pytest.mark.parametrize(("encode", "size"), [("raw", (7, 5)), ("jpg", (7, 5)), ("png", (7, 5))])
def test_mean_is_over_the_pixels_that_a_reader_sees(
    tmp_path: Path, encode: str, size: tuple[int, int]
) -> None:
    jobs = write_images(tmp_path / "images", count=41)
    manifest = build_list(jobs, tmp_path / "out", encode=encode, resize=size)
    seen = []
    for _, value in records(tmp_path / "out" / "train_lmdb"):
        datum = Datum.FromString(value)
        if datum.encoded:
            image = cv2.imdecode(np.frombuffer(datum.data, np.uint8), cv2.IMREAD_UNCHANGED)
            seen.append(image.transpose(2, 0, 1))
        else:
            planes = np.frombuffer(datum.data, np.uint8)
            seen.append(planes.reshape(datum.channels, datum.height, datum.width))
    expected = oracle.mean(seen)
    found = read_binaryproto(tmp_path / "out" / "mean.binaryproto")
    assert found.shape == (1, 3, 7, 5)
    assert np.array_equal(found[0], expected)
    assert manifest.mean is not None
    assert manifest.mean.channels == pytest.approx([expected[c].mean() for c in range(3)], abs=1e-4)
    assert (manifest.channels, manifest.height, manifest.width) == (3, 7, 5)


def test_there_is_no_mean_where_sizes_differ(tmp_path: Path) -> None:
    jobs = write_images(tmp_path / "images", count=30)
    manifest = build_list(jobs, tmp_path / "out", encode="jpg")
    assert manifest.mean is None
    assert (manifest.channels, manifest.height, manifest.width) == (3, None, None)
    assert not (tmp_path / "out" / "mean.binaryproto").exists()


def test_short_side_keeps_the_aspect(tmp_path: Path) -> None:
    image = picture(3, height=20, width=50)
    (tmp_path / "a.png").write_bytes(file_bytes(image, "png"))
    job = Job(name="a.png", label=0, location=File(tmp_path / "a.png"))
    manifest = build_list([job], tmp_path / "out", encode="raw", short_side=10)
    assert (manifest.channels, manifest.height, manifest.width) == (3, 10, 25)
    [(_, value)] = records(tmp_path / "out" / "train_lmdb")
    assert value == oracle.raw_datum(cv2.resize(image, (25, 10)), 0)


def test_bare_pixels_become_blue_green_red(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    planes = rng.integers(0, 256, (2, 3, 5, 7), np.uint8)  # two pictures of red, green, blue planes
    (tmp_path / "batch.bin").write_bytes(b"\x09" + planes[0].tobytes() + b"\x04" + planes[1].tobytes())
    jobs = [
        Job(name=f"{i}.png", label=i, location=Pixels(tmp_path / "batch.bin", 1 + i * 106, 3, 5, 7))
        for i in range(2)
    ]
    manifest = build_list(jobs, tmp_path / "out")
    assert manifest.encode == "raw"
    expected = [
        (oracle.key(i, f"{i}.png"), oracle.raw_datum(planes[i].transpose(1, 2, 0)[:, :, ::-1], i))
        for i in range(2)
    ]
    assert records(tmp_path / "out" / "train_lmdb") == expected


@pytest.mark.parametrize(
    ("side", "backend", "expected"),
    [(64, "lmdb", "raw"), (65, "lmdb", "jpg"), (64, "imagedata", "png"), (65, "imagedata", "jpg")],
)
def test_auto_is_raw_up_to_64(tmp_path: Path, side: int, backend: str, expected: str) -> None:
    jobs = write_images(tmp_path / "images", count=3, broken=False)
    manifest = build_list(jobs, tmp_path / "out", backend=backend, resize=(5, side))
    assert manifest.encode == expected


def test_auto_keeps_jpegs_that_are_not_resized(tmp_path: Path) -> None:
    content = file_bytes(picture(1, height=70, width=90), "jpg")
    (tmp_path / "a.JPG").write_bytes(content)
    manifest = build_list([Job(name="a.JPG", label=1, location=File(tmp_path / "a.JPG"))], tmp_path / "out")
    assert manifest.encode == "jpg"
    assert records(tmp_path / "out" / "train_lmdb") == [(b"00000000_a.JPG", oracle.encoded_datum(content, 1))]


def test_odd_files_are_counted(tmp_path: Path) -> None:
    jobs = write_images(tmp_path / "images", count=30, broken=False)
    manifest = build_list(jobs, tmp_path / "out", resize=(5, 7))
    assert manifest.splits["train"].unusual == {"png named .jpg": 2}


def test_shuffling_goes_by_the_seed_and_leaves_val_alone(tmp_path: Path) -> None:
    listing = mixed_listing(tmp_path / "images", broken=False)
    keys = {}
    for seed in (1, 1, 2):
        out = tmp_path / f"out{len(keys)}{seed}"
        build(listing, BuildSettings(seed=seed, resize=(5, 7)), out, source="folder")
        order = [key for key, _ in records(out / "train_lmdb")]
        keys.setdefault(seed, order)
        assert keys[seed] == order
        assert [key for key, _ in records(out / "val_lmdb")] == [
            oracle.key(i, job.name) for i, job in enumerate(listing.splits["val"])
        ]
    assert keys[1] != keys[2]
    names = sorted(key[9:] for key in keys[1])
    assert names == sorted(job.name.encode() for job in listing.splits["train"])
    assert [key[:9] for key in keys[1]] == [b"%08d_" % i for i in range(47)]


def test_limit_spreads_over_the_classes(tmp_path: Path) -> None:
    listing = mixed_listing(tmp_path / "images", broken=False)
    manifest = build(listing, BuildSettings(limit=6, resize=(5, 7)), tmp_path / "out", source="folder")
    assert manifest.splits["train"].labels == {0: 2, 1: 2, 2: 2}
    assert manifest.splits["val"].count == 6
