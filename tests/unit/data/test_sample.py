"""Where images lie, and how their bytes are had."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from caffeflow.data.sample import File, Job, Member, Pixels, UnreadableError, check_job
from caffeflow.errors import DataError


def test_a_member_is_a_part_of_its_archive(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"headerIMAGErest")
    assert Member(tmp_path / "a.tar", 6, 5).read() == b"IMAGE"


def test_pixels_are_as_many_bytes_as_their_shape(tmp_path: Path) -> None:
    (tmp_path / "batch.bin").write_bytes(bytes(range(100)))
    assert Pixels(tmp_path / "batch.bin", 7, 3, 2, 5).read() == bytes(range(7, 37))


def test_an_archive_that_ends_early_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"short")
    with pytest.raises(
        UnreadableError, match=r"a.tar: ends within the image at byte 3: expected 9 bytes, found 2"
    ):
        Member(tmp_path / "a.tar", 3, 9).read()


@pytest.mark.parametrize(
    "kind", [File, lambda path: Member(path, 0, 1), lambda path: Pixels(path, 0, 1, 1, 1)]
)
def test_a_missing_file_has_a_reason(tmp_path: Path, kind: type[File]) -> None:
    with pytest.raises(UnreadableError, match=r"a.jpg: cannot be read: No such file") as error:
        kind(tmp_path / "a.jpg").read()
    assert error.value.reason == "missing"
    with pytest.raises(UnreadableError) as error:
        kind(tmp_path).read()
    assert error.value.reason == "unreadable"


def test_jobs_pickle() -> None:
    job = Job(name="a/b.jpg", label=3, location=Member(Path("/a"), 1, 2))
    assert pickle.loads(pickle.dumps(job)) == job


@pytest.mark.parametrize(
    "name", ["a.jpg", "a b/c d.jpg", "..a/b..jpg", os.fsdecode(b"\xff.jpg"), "ä/日本.png"]
)
def test_usual_and_odd_names_are_fine(name: str) -> None:
    check_job(Job(name=name, label=0, location=File(Path(name))))


@pytest.mark.parametrize("name", ["", "/a.jpg", "..", "../a.jpg", "a/..", "a\tb.jpg", "a\r.jpg", "a\0b"])
def test_names_that_escape_or_break_a_list_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="image name"):
        check_job(Job(name=name, label=0, location=File(Path("x"))))
