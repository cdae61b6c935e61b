"""Folders, tars and zips look the same from outside, and parts can be joined."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.data.file_sets import FilesBelow, FolderFiles, MountedFiles, open_files, read_text
from caffeflow.errors import DataError
from tests.support.detection_files import write_tar, write_tree, write_zip

FILES = {
    "top.txt": b"top",
    "kit/A/one.xml": b"1",
    "kit/A/two.xml": b"2",
    "kit/A/deep/three.xml": b"3",
    "kit/B/one.jpg": b"picture",
}


def written(kind: str, root: Path) -> Path:
    match kind:
        case "folder":
            return write_tree(root / "set", FILES)
        case "tar":
            return write_tar(root / "set.tar", FILES)
        case _:
            return write_zip(root / "set.zip", FILES, deflated=kind == "deflated")


@pytest.mark.parametrize("kind", ["folder", "tar", "stored", "deflated"])
def test_all_kinds_say_the_same(tmp_path: Path, kind: str) -> None:
    path = written(kind, tmp_path)
    files = open_files(path)
    assert files.folders() == ["", "kit", "kit/A", "kit/A/deep", "kit/B"]
    assert files.files("") == ["top.txt"]
    assert files.files("kit/A") == ["one.xml", "two.xml"]
    assert files.files("kit") == files.files("nowhere") == []
    assert {name: files.locate(name).read() for name in FILES} == FILES
    assert read_text(files, "kit/A/two.xml") == "2"
    where = files.where("kit/A/one.xml")
    assert str(path) in where
    assert where.endswith("kit/A/one.xml")


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    files = open_files(write_tree(tmp_path / "set", {".DS_Store": b"", ".git/config": b"", "a.txt": b""}))
    assert (files.files(""), files.folders()) == (["a.txt"], [""])


def test_what_macos_adds_to_a_zip_is_passed_over(tmp_path: Path) -> None:
    extra = {"__MACOSX/kit/A/._one.xml": b"", "kit/.DS_Store": b"", "kit/A/._one.xml": b""}
    files = open_files(write_zip(tmp_path / "set.zip", FILES | extra))
    assert files.folders() == ["", "kit", "kit/A", "kit/A/deep", "kit/B"]
    assert files.files("kit/A") == ["one.xml", "two.xml"]


def test_long_indexing_is_told(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "set.tar", FILES)
    heard: list[tuple[str, int, int | None]] = []
    open_files(path, tell=lambda *words: heard.append(words))
    assert {(doing, total) for doing, _, total in heard} == {("indexing set.tar", path.stat().st_size)}
    assert [done for _, done, _ in heard] == sorted(done for _, done, _ in heard)
    assert len(heard) == len(FILES)


def test_parts_are_joined_and_the_first_that_has_a_file_gives_it(tmp_path: Path) -> None:
    first = open_files(write_tree(tmp_path / "one", {"A/x": b"first", "A/y": b"1"}))
    second = open_files(
        write_tar(tmp_path / "two.tar", {"in/A/x": b"second", "in/A/z": b"2", "in/C/w": b"3"})
    )
    files = FilesBelow([(first, ""), (second, "in")])
    assert files.files("A") == ["x", "y", "z"]
    assert files.folders() == ["", "A", "C"]
    assert [files.locate(name).read() for name in ("A/x", "A/y", "A/z", "C/w")] == [
        b"first",
        b"1",
        b"2",
        b"3",
    ]
    assert files.where("A/z").endswith("two.tar: in/A/z")


def test_mounted_sets_are_folders(tmp_path: Path) -> None:
    write_tree(tmp_path, {"here/x.jpg": b"1", "there/x.xml": b"2"})
    files = MountedFiles({"images": FolderFiles(tmp_path / "here"), "notes": FolderFiles(tmp_path / "there")})
    assert files.folders() == ["", "images", "notes"]
    assert (files.files("images"), files.files("notes"), files.files("")) == (["x.jpg"], ["x.xml"], [])
    assert files.locate("notes/x.xml").read() == b"2"
    assert files.where("images/x.jpg") == str(tmp_path / "here" / "x.jpg")


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no such folder or archive"):
        open_files(tmp_path / "nowhere")
    (tmp_path / "set.rar").write_bytes(b"")
    with pytest.raises(DataError, match=r"set\.rar: expected a folder, or an archive \.tar or \.zip"):
        open_files(tmp_path / "set.rar")
    write_tree(tmp_path / "set", {"a.txt": b"\xff\xfe\x00"})
    with pytest.raises(DataError, match=r"a\.txt: is not UTF-8 text"):
        read_text(open_files(tmp_path / "set"), "a.txt")
