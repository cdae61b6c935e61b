"""dataset.json: what is written comes back, and what cannot be understood is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caffeflow.data.manifest import Manifest, Mean, Split, find_datasets, read_manifest, write_manifest
from caffeflow.errors import DataError

TRAIN = Split(
    path="train_lmdb", root=None, count=5, rejected={"empty": 1}, unusual={"cmyk jpeg": 2},
    labels={0: 2, 10: 3}, digest="sha256:00",
)  # fmt: skip
MANIFEST = Manifest(
    name="d", source="folder", backend="lmdb", encode="raw", channels=3, height=None, width=7, classes=11,
    class_names=("a", "b"), splits={"train": TRAIN}, mean=Mean(path="mean.binaryproto", channels=(1.5, 2.0, 3.25)),
    settings={"resize": [5, 7], "seed": 3},
)  # fmt: skip


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    assert read_manifest(tmp_path) == MANIFEST
    fields = json.loads((tmp_path / "dataset.json").read_text())
    assert list(fields)[:2] == ["format", "caffeflow"]
    assert fields["splits"]["train"]["labels"] == {"0": 2, "10": 3}


def change(folder: Path, **fields: object) -> None:
    path = folder / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"format": 2}, "format is 2; this version of caffeflow reads format 1"),
        ({"splits": {"train": {}}}, "does not read as a manifest"),
        ({"splits": None}, "does not read as a manifest"),
        ({"surprise": 1}, "surprise"),
        ({"mean": {"path": "x"}}, "channels"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, fields: dict[str, object], words: str) -> None:
    write_manifest(tmp_path, MANIFEST)
    change(tmp_path, **fields)
    with pytest.raises(DataError, match=words) as error:
        read_manifest(tmp_path)
    assert str(tmp_path / "dataset.json") in str(error.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "\xff"])
def test_what_is_not_a_manifest_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "dataset.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=r"dataset.json: "):
        read_manifest(tmp_path)


def test_a_folder_without_a_manifest_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "half" / ".unfinished").mkdir(parents=True)
    for name, words in (
        ("none", "no such dataset folder"),
        ("file", "is a file; expected a dataset folder"),
        ("half", "is unfinished; .* --resume"),
        (".", "has no dataset.json"),
    ):
        with pytest.raises(DataError, match=words):
            read_manifest(tmp_path / name)


def test_finished_datasets_are_found_by_name(tmp_path: Path) -> None:
    for name in ("b", "a", "c/deeper"):
        (tmp_path / name).mkdir(parents=True)
        write_manifest(tmp_path / name, MANIFEST)
    (tmp_path / "d" / ".unfinished").mkdir(parents=True)
    assert find_datasets(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert find_datasets(tmp_path / "none") == []
