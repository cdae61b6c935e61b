"""Writing a net's folder: all files or none."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from caffeflow.errors import CaffeflowError, DataError, NetError, UsageError
from caffeflow.render import writing
from caffeflow.render.check import check
from caffeflow.render.render import render_in_memory

TEXTS = {"a.prototxt": "a", "b.sh": "#!/bin/sh\n", "c.toml": "c"}


def test_a_new_folder_has_all_files_scripts_that_run_and_a_place_for_snapshots(tmp_path: Path) -> None:
    out = tmp_path / "models" / "x"
    paths = writing.write_files(out, TEXTS)
    assert {path.name: path.read_text() for path in paths} == TEXTS
    assert sorted(path.name for path in out.iterdir()) == ["a.prototxt", "b.sh", "c.toml", "snapshots"]
    assert [bool(path.stat().st_mode & 0o100) for path in paths] == [False, True, False]
    assert [path.name for path in out.parent.iterdir()] == ["x"]


def test_what_stands_beside_is_kept(tmp_path: Path) -> None:
    (tmp_path / "x" / "snapshots").mkdir(parents=True)
    (tmp_path / "x" / "snapshots" / "s").write_text("weights")
    (tmp_path / "x" / "a.prototxt").write_text("old")
    writing.write_files(tmp_path / "x", TEXTS)
    assert (tmp_path / "x" / "a.prototxt").read_text() == "a"
    assert (tmp_path / "x" / "snapshots" / "s").read_text() == "weights"


@pytest.mark.parametrize("exists", [False, True])
def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    out = tmp_path / "x"
    if exists:
        out.mkdir()
        (out / "a.prototxt").write_text("old")

    def full(path: Path, text: str) -> None:
        if path.name == "c.toml":
            raise DataError(f"{path}: cannot write: No space left on device")
        path.write_text(text)

    monkeypatch.setattr(writing, "write_text", full)
    with pytest.raises(CaffeflowError, match="No space left"):
        writing.write_files(out, TEXTS)
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == (["x"] if exists else [])
    if exists:
        assert [(path.name, path.read_text()) for path in out.iterdir()] == [("a.prototxt", "old")]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(CaffeflowError, match="x: cannot write: Permission denied"):
        writing.write_files(tmp_path / "x", TEXTS)


def test_files_in_the_way_are_listed(tmp_path: Path) -> None:
    (tmp_path / "b.sh").write_text("mine")
    with pytest.raises(UsageError, match=r"has b\.sh already; give --force"):
        writing.check_free(tmp_path, TEXTS)
    writing.check_free(tmp_path / "new", TEXTS)


def test_a_file_in_the_folder_s_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(UsageError, match="x: is a file; expected a folder"):
        writing.check_free(tmp_path / "x", TEXTS)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("deploy.prototxt", 'bottom: "ip2"', 'bottom: "ip3"', "unknown bottom blob 'ip3'"),
        ("train_val.prototxt", "kernel_size: 5", "kernel_size: 50", "layer 'conv1'"),
        ("train_val.prototxt", "num_output", "num_outputs", "has no field 'num_outputs'"),
        ("solver.prototxt", "base_lr", "base_rate", "has no field 'base_rate'"),
    ],
)
def test_text_that_caffe_would_refuse_is_refused_with_its_place(
    name: str, old: str, new: str, words: str
) -> None:
    texts = dict(render_in_memory("lenet").texts)
    texts[name] = texts[name].replace(old, new)
    with pytest.raises(NetError) as caught:
        check(texts, out_dir=Path("out"), record_shape=(1, 28, 28))
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"out/{name}:")
