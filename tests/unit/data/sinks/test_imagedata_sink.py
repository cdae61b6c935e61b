"""The imagedata sink: names that cannot collide or escape, and a list in step with its files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from caffeflow.data.build import BuildSettings, build
from caffeflow.data.sample import File, Job, Listing
from caffeflow.data.sinks.imagedata import file_name
from tests.support.mixed_images import CLASSES, file_bytes, mixed_listing, picture, write_images

PARTS = st.text(
    st.characters(exclude_characters="/", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=120
)
NAMES = st.lists(PARTS.filter(lambda part: part not in (".", "..")), min_size=1, max_size=3).map("/".join)


@given(names=st.lists(NAMES, min_size=1, max_size=6))
@example(names=["x.jpg", "00000000_x.jpg/y.jpg", "00000000_x.jpg"])
@example(names=["a.jpg", "a.jpg", "a.png", "A.JPG"])
def test_no_file_is_in_the_way_of_another(names: list[str]) -> None:
    paths = [PurePosixPath(file_name(index, name, extension="jpg")) for index, name in enumerate(names)]
    folders = {folder for path in paths for folder in path.parents}
    assert len(set(paths)) == len(paths)
    assert not folders & set(paths)
    for path in paths:
        assert not path.is_absolute()
        assert ".." not in path.parts
        assert len(path.name.encode()) <= 255


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat/1.png", "cat/00000007_1.jpg"),
        ("1", "00000007_1.jpg"),
        ("n01/n01_9.JPEG", "n01/00000007_n01_9.jpg"),
        ("a b/c d.e.jpg", "a b/00000007_c d.e.jpg"),
    ],
)
def test_names_stay_readable(name: str, expected: str) -> None:
    assert file_name(7, name, extension="jpg") == expected


@pytest.mark.parametrize("encode", ["jpg", "png"])
def test_files_and_lists_are_what_imagedata_reads(tmp_path: Path, encode: str) -> None:
    listing = mixed_listing(tmp_path / "images", broken=False)
    out = tmp_path / "out"
    manifest = build(
        listing, BuildSettings(backend="imagedata", encode=encode, resize=(7, 5)), out, source="folder"
    )
    for split, count in (("train", 47), ("val", 17)):
        part = manifest.splits[split]
        assert (part.path, part.root, part.count) == (f"{split}.txt", split, count)
        lines = (out / part.path).read_text().splitlines()
        assert len(lines) == count
        sources = {Path(job.name).stem: job for job in listing.splits[split]}
        for line in lines:
            path, label = line.rsplit(" ", 1)
            job = sources[Path(path).stem.split("_", 1)[1]]
            assert int(label) == job.label
            expected = cv2.resize(
                cv2.imdecode(np.frombuffer(job.location.read(), np.uint8), cv2.IMREAD_COLOR), (5, 7)
            )
            expected_file = cv2.imencode(f".{encode}", expected)[1].tobytes()
            assert (out / split / path).read_bytes() == expected_file
        assert len(list((out / split).rglob("*.*"))) == count
    assert [line.rsplit(" ", 1)[0] for line in (out / "val.txt").read_text().splitlines()] == [
        f"{CLASSES[job.label]}/{index:08d}_{Path(job.name).stem}.{encode}"
        for index, job in enumerate(listing.splits["val"])
    ]
    order = [line.split("_")[0][-8:] for line in (out / "train.txt").read_text().splitlines()]
    assert order == [f"{index:08d}" for index in range(47)]
    stems = [
        Path(line.split(" ")[0]).stem.split("_")[1] for line in (out / "train.txt").read_text().splitlines()
    ]
    assert stems != [Path(job.name).stem for job in listing.splits["train"]]


def test_the_mean_is_over_the_files_as_read(tmp_path: Path) -> None:
    jobs = write_images(tmp_path / "images", count=20, broken=False)
    manifest = build(Listing(splits={"train": jobs}), BuildSettings(backend="imagedata", encode="jpg", resize=(7, 5)),
                     tmp_path / "out", source="list")  # fmt: skip
    files = [cv2.imread(str(path)) for path in sorted((tmp_path / "out" / "train").rglob("*.jpg"))]
    assert len(files) == 20
    assert manifest.mean is not None
    assert manifest.mean.channels == pytest.approx(np.mean(files, axis=(0, 1, 2)), abs=1e-4)


def test_files_that_need_no_change_are_copied(tmp_path: Path) -> None:
    content = file_bytes(picture(1, height=70, width=90), "jpg")
    (tmp_path / "a.jpeg").write_bytes(content)
    job = Job(name="a.jpeg", label=4, location=File(tmp_path / "a.jpeg"))
    build(
        Listing(splits={"train": [job]}), BuildSettings(backend="imagedata"), tmp_path / "out", source="list"
    )
    assert (tmp_path / "out" / "train.txt").read_text() == "00000000_a.jpg 4\n"
    assert (tmp_path / "out" / "train" / "00000000_a.jpg").read_bytes() == content


def test_a_png_that_was_called_jpg_gets_its_own_extension(tmp_path: Path) -> None:
    content = file_bytes(picture(1, height=70, width=90), "png")
    (tmp_path / "a.jpg").write_bytes(content)
    job = Job(name="a.jpg", label=4, location=File(tmp_path / "a.jpg"))
    build(
        Listing(splits={"train": [job]}), BuildSettings(backend="imagedata"), tmp_path / "out", source="list"
    )
    assert (tmp_path / "out" / "train" / "00000000_a.png").read_bytes() == content
