"""The forecast, against what the build then takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.data.build import BuildSettings, build
from caffeflow.data.forecast import Forecast, forecast, gigabytes
from caffeflow.data.sample import File, Job, Listing
from tests.support.mixed_images import file_bytes, picture


def same_jobs(folder: Path, *, count: int, broken: int = 0) -> list[Job]:
    """Returns jobs of pictures of one size, the last of them broken."""
    folder.mkdir()
    jobs = []
    for number in range(count):
        path = folder / f"{number}.jpg"
        image = picture(number, height=90, width=120)
        path.write_bytes(b"" if number >= count - broken else file_bytes(image, "jpg"))
        jobs.append(Job(name=path.name, label=0, location=File(path)))
    return jobs


@pytest.mark.parametrize("encode", ["raw", "jpg", "png"])
@pytest.mark.parametrize("resize", [None, (70, 80)])
def test_the_disk_it_names_is_what_the_build_takes(
    tmp_path: Path, encode: str, resize: tuple[int, int] | None
) -> None:
    jobs = same_jobs(tmp_path / "images", count=130, broken=3)
    told: list[Forecast] = []
    build(Listing(splits={"train": jobs}), BuildSettings(encode=encode, resize=resize), tmp_path / "out",
          source="folder", on_forecast=told.append)  # fmt: skip
    [expected] = told
    assert (expected.images, expected.encoding) == (130, encode)
    assert set(expected.bytes_of) == {"raw", "jpg", "png"}
    assert expected.seconds > 0
    assert expected.picture_bytes == (70 * 80 * 3 if resize else 90 * 120 * 3)
    stored = (tmp_path / "out" / "train_lmdb" / "data.mdb").stat().st_size
    assert expected.needed_bytes == pytest.approx(stored, rel=0.15)


def test_image_files_have_no_raw_form(tmp_path: Path) -> None:
    jobs = same_jobs(tmp_path / "images", count=5)
    expected = forecast(jobs, BuildSettings(backend="imagedata"), workers=2)
    assert set(expected.bytes_of) == {"jpg", "png"}


def test_broken_images_do_not_count(tmp_path: Path) -> None:
    jobs = same_jobs(tmp_path / "images", count=4, broken=4)
    expected = forecast(jobs, BuildSettings(), workers=2)
    assert (expected.images, expected.needed_bytes, expected.seconds) == (4, 0, 0)


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 kB"), (35_000, "35 kB"), (35_400_000, "35 MB"), (123_456_789_012, "123.5 GB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert gigabytes(size) == words
