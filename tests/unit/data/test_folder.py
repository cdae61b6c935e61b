"""The folder of a dataset in the making: marked, locked, cleaned."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.data import folder
from caffeflow.errors import DataError


def test_a_claim_marks_and_its_end_keeps_the_mark(tmp_path: Path) -> None:
    out = tmp_path / "data" / "digits"
    with folder.claim(out) as work_dir:
        assert work_dir == out / ".unfinished"
        assert folder.is_unfinished(out)
        with pytest.raises(DataError, match="another process"), folder.claim(out):
            pass
    assert folder.is_unfinished(out)
    with folder.claim(out):
        pass


def test_a_claim_stands_though_the_folder_was_unmarked_meanwhile(tmp_path: Path) -> None:
    with folder.claim(tmp_path / "out") as work_dir:
        folder.unmark(work_dir)
        with folder.claim(tmp_path / "out") as again:  # the old lock is on a file that is gone
            assert again.is_dir()
            with pytest.raises(DataError, match="another process"), folder.claim(tmp_path / "out"):
                pass


def test_clearing_takes_the_dataset_and_nothing_else(tmp_path: Path) -> None:
    for name in (
        "train_lmdb/data.mdb",
        "val/a/1.jpg",
        "dataset.json",
        "train.txt",
        "notes/x.md",
        ".unfinished/plan.json",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept.jpg").write_text("")
    (tmp_path / "train").symlink_to(tmp_path / "elsewhere")
    with folder.claim(tmp_path) as work_dir:
        folder.clear(tmp_path, work_dir)
        assert [path.name for path in work_dir.iterdir()] == ["lock"]
    names = sorted(path.name for path in tmp_path.iterdir() if path.name != "home")
    assert names == [".unfinished", "elsewhere", "notes"]
    assert (tmp_path / "elsewhere" / "kept.jpg").exists()


def test_removing_leaves_files_of_the_users(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with folder.claim(out) as work_dir:
        (out / "notes.md").write_text("mine")
        folder.remove(out, work_dir)
    assert [path.name for path in out.iterdir()] == ["notes.md"]


def test_free_space_is_that_of_the_nearest_folder(tmp_path: Path) -> None:
    assert folder.free_bytes(tmp_path / "not" / "yet" / "there") > 0


def test_used_space_is_the_datasets(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.jpg").write_bytes(bytes(300))
    (tmp_path / "train.txt").write_bytes(bytes(20))
    (tmp_path / "other.bin").write_bytes(bytes(4000))
    assert folder.used_bytes(tmp_path) == 320


def test_replacing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("before")
    with pytest.raises(OSError, match="no/such"):
        folder.replace_file(tmp_path / "old", b"after", by=tmp_path / "no" / "such")
    assert (tmp_path / "old").read_text() == "before"
    folder.replace_file(tmp_path / "old", b"after", by=tmp_path / "new")
    assert (tmp_path / "old").read_text() == "after"
    assert not (tmp_path / "new").exists()
