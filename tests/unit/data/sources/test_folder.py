"""Class folders: labels by sorted name, splits by layout or by fraction, and what is refused."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from caffeflow.data.sample import File
from caffeflow.data.sources.folder import FolderSettings, list_jobs
from caffeflow.errors import DataError, UsageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "images"
    made.mkdir()
    return made


def make(top: Path, paths: Iterable[str]) -> Path:
    for path in paths:
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(b"picture")
    return top


def many(classes: dict[str, int]) -> list[str]:
    return [f"{name}/{index:03}.jpg" for name, count in classes.items() for index in range(count)]


def test_sorted_folder_names_are_the_labels(root: Path) -> None:
    make(
        root,
        ["dog/b.JPG", "dog/a.png", "cat/deep/er/c.jpeg", "10/x.bmp", "9/x.webp", "cat/two words.jpg"],
    )
    listing = list_jobs(FolderSettings(root=root))
    assert listing.class_names == ("10", "9", "cat", "dog")
    jobs = [(job.name, job.label) for job in listing.splits["train"]]
    assert jobs == [
        ("10/x.bmp", 0),
        ("9/x.webp", 1),
        ("cat/deep/er/c.jpeg", 2),
        ("cat/two words.jpg", 2),
        ("dog/a.png", 3),
        ("dog/b.JPG", 3),
    ]
    assert listing.splits["train"][2].location == File(root / "cat/deep/er/c.jpeg")
    assert set(listing.splits) == {"train"}
    assert any("--val-fraction" in note for note in listing.notes)


def test_a_root_given_as_the_current_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(root, ["a/1.jpg", "b/1.jpg"])
    monkeypatch.chdir(root)
    jobs = list_jobs(FolderSettings(root=Path())).splits["train"]
    assert [job.name for job in jobs] == ["a/1.jpg", "b/1.jpg"]
    assert jobs[0].location.read() == b"picture"


@pytest.mark.parametrize("val", ["val", "validation", "valid", "test"])
def test_splits_by_folder(root: Path, val: str) -> None:
    make(root, ["train/a/1.jpg", "train/b/2.jpg", f"{val}/b/3.jpg"])
    listing = list_jobs(FolderSettings(root=root))
    assert [(job.name, job.label) for job in listing.splits["train"]] == [("a/1.jpg", 0), ("b/2.jpg", 1)]
    assert [(job.name, job.label) for job in listing.splits["val"]] == [("b/3.jpg", 1)]
    assert listing.splits["val"][0].location == File(root / val / "b/3.jpg")
    assert listing.notes == ()


def test_val_goes_before_test(root: Path) -> None:
    make(root, ["train/a/1.jpg", "train/b/2.jpg", "val/b/3.jpg", "test/a/4.jpg"])
    assert [job.name for job in list_jobs(FolderSettings(root=root)).splits["val"]] == ["b/3.jpg"]


def test_a_train_folder_alone_is_split_by_fraction(root: Path) -> None:
    make(root / "train", many({"a": 5, "b": 5}))
    listing = list_jobs(FolderSettings(root=root, val_fraction=0.4))
    assert listing.class_names == ("a", "b")
    assert (len(listing.splits["train"]), len(listing.splits["val"])) == (6, 4)


def test_a_class_may_be_called_train(root: Path) -> None:
    make(root, ["bus/1.jpg", "train/1.jpg"])
    assert list_jobs(FolderSettings(root=root)).class_names == ("bus", "train")


def test_fraction_is_of_each_class(root: Path) -> None:
    make(root, many({"a": 20, "b": 7, "c": 2, "d": 1}))
    listing = list_jobs(FolderSettings(root=root, val_fraction=0.15, seed=3))
    train, val = (Counter(job.label for job in listing.splits[split]) for split in ("train", "val"))
    assert val == {0: 3, 1: 1, 2: 1}  # at least one, but a single image stays in train
    assert train == {0: 17, 1: 6, 2: 1, 3: 1}
    names = {job.name for split in listing.splits.values() for job in split}
    assert names == set(many({"a": 20, "b": 7, "c": 2, "d": 1}))


def test_the_seed_decides_and_other_classes_do_not(root: Path) -> None:
    def val_of(top: Path, seed: int, start: str) -> list[str]:
        jobs = list_jobs(FolderSettings(root=top, val_fraction=0.3, seed=seed)).splits["val"]
        return [job.name for job in jobs if job.name.startswith(start)]

    make(root / "x", many({"a": 30, "b": 30}))
    make(root / "y", many({"a": 30, "b": 30, "aa": 11}))
    assert val_of(root / "x", 1, "b/") == val_of(root / "x", 1, "b/")
    assert val_of(root / "x", 1, "b/") != val_of(root / "x", 2, "b/")
    assert val_of(root / "x", 1, "b/") == val_of(root / "y", 1, "b/")


def test_other_files_are_passed_over_and_told(root: Path) -> None:
    make(
        root,
        ["a/1.jpg", "b/1.jpg", "a/.hidden.jpg", "a/Thumbs.db", "b/notes.txt", "b/README", ".git/x.jpg"],
    )
    listing = list_jobs(FolderSettings(root=root))
    assert [job.name for job in listing.splits["train"]] == ["a/1.jpg", "b/1.jpg"]
    assert any("3 files" in note and ".db 1" in note and ".txt 1" in note for note in listing.notes)


def test_links_that_go_in_circles_end(root: Path) -> None:
    make(root, ["a/1.jpg", "b/1.jpg"])
    (root / "a/again").symlink_to(root / "a", target_is_directory=True)
    assert len(list_jobs(FolderSettings(root=root)).splits["train"]) == 2


REFUSED: dict[str, tuple[list[str], str]] = {
    "one class": (["a/1.jpg"], "one class, 'a'"),
    "empty": ([], "is empty"),
    "no folders": (["1.jpg", "2.jpg"], r"2 images and no folders.*prepare list"),
    "class without images": (["a/1.jpg", "b/readme.txt"], r"/b: has no images"),
    "class only in val": (
        ["train/a/1.jpg", "train/b/1.jpg", "val/c/1.jpg"],
        r"val/c: is a class that .*train lacks",
    ),
    "val without images": (["train/a/1.jpg", "train/b/1.jpg", "val/a/x.txt"], r"/val: has no images"),
    "one class in train": (["train/a/1.jpg", "val/a/1.jpg"], "one class"),
    "line break": (["a/1.jpg", "b/two\nlines.jpg"], r"'two\\nlines\.jpg' cannot stand in a list"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(root: Path, case: str) -> None:
    paths, message = REFUSED[case]
    with pytest.raises(DataError, match=message):
        list_jobs(FolderSettings(root=make(root, paths)))


def test_a_missing_folder_and_a_file_in_its_place(root: Path) -> None:
    with pytest.raises(DataError, match="none: no such folder"):
        list_jobs(FolderSettings(root=root / "none"))
    (root / "file").write_bytes(b"")
    with pytest.raises(DataError, match="file: cannot be listed: Not a directory"):
        list_jobs(FolderSettings(root=root / "file"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_named(root: Path) -> None:
    make(root, ["a/1.jpg", "b/1.jpg"])
    (root / "b").chmod(0)
    with pytest.raises(DataError, match="b: cannot be listed: Permission"):
        list_jobs(FolderSettings(root=root))
    (root / "b").chmod(0o755)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 2.0])
def test_a_fraction_lies_between(root: Path, fraction: float) -> None:
    with pytest.raises(UsageError, match="--val-fraction"):
        list_jobs(FolderSettings(root=make(root, many({"a": 3, "b": 3})), val_fraction=fraction))


def test_a_fraction_beside_a_val_folder_is_two_things_at_once(root: Path) -> None:
    make(root, ["train/a/1.jpg", "train/b/2.jpg", "val/b/3.jpg"])
    with pytest.raises(UsageError, match=r"val: is a val split already"):
        list_jobs(FolderSettings(root=root, val_fraction=0.1))
