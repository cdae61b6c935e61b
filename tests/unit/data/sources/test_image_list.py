"""Caffe's list files: the last space divides, and what is no label is an error with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.data.sample import File
from caffeflow.data.sources.image_list import ListSettings, list_jobs
from caffeflow.errors import DataError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_the_label_follows_the_last_space(tmp_path: Path) -> None:
    train = write(tmp_path / "train.txt", "cat/1.jpg 0\ntwo words 7.jpg 1\r\n\nümlaut.png 01\n./x.jpg  0")
    listing = list_jobs(ListSettings(train=train))
    jobs = [(job.name, job.label) for job in listing.splits["train"]]
    assert jobs == [("cat/1.jpg", 0), ("two words 7.jpg", 1), ("ümlaut.png", 1), ("./x.jpg", 0)]
    assert listing.splits["train"][1].location == File(tmp_path / "two words 7.jpg")


def test_two_lists_and_a_root(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    train = write(tmp_path / "train.txt", "a 0\nb 1\n")
    val = write(tmp_path / "val.txt", "c 1\n")
    names = write(tmp_path / "names.txt", "n01 cat\nn02 dog\n")
    listing = list_jobs(ListSettings(train=train, val=val, root=tmp_path / "images", class_names=names))
    assert listing.splits["val"][0].location == File(tmp_path / "images/c")
    assert listing.class_names == ("n01 cat", "n02 dog")
    assert listing.notes == ()


def test_absolute_paths_below_the_root_lose_it(tmp_path: Path) -> None:
    train = write(tmp_path / "train.txt", f"{tmp_path}/a/1.jpg 0\n{tmp_path}/b.jpg 1\n")
    jobs = list_jobs(ListSettings(train=train)).splits["train"]
    assert [job.name for job in jobs] == ["a/1.jpg", "b.jpg"]
    from_top = list_jobs(ListSettings(train=train, root=Path("/"))).splits["train"]
    assert from_top[0].location == File(tmp_path / "a/1.jpg")


BAD_LINES: dict[str, str] = {
    "a -1": "label is -1",
    "a 2147483648": "label 2147483648 does not fit",
    "a 99999999999999999999": "label 99999999999999999999 does not fit",
    "a cat": "label 'cat' is not a whole number",
    "a 1.0": r"label '1\.0' is not",
    "a 1_0": "label '1_0' is not",
    "a ٣": "label '٣' is not",
    "a.jpg": "expected .path label., found .a.jpg.",
    "a.jpg\t3": "a tab stands where a space must",
    "/elsewhere/a.jpg 3": "'/elsewhere/a.jpg': expected one below --root",
    "../a.jpg 3": r"without '\.\.'",
    "a\x07.jpg 3": "printable",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_is_named_by_file_and_line(tmp_path: Path, line: str) -> None:
    train = write(tmp_path / "train.txt", f"first 0\n\n{line}\nlast 1\n")
    with pytest.raises(DataError, match=BAD_LINES[line]) as caught:
        list_jobs(ListSettings(train=train))
    assert str(caught.value).startswith(f"{train}:3: ")


def test_gaps_are_told_as_ranges(tmp_path: Path) -> None:
    train = write(tmp_path / "train.txt", "a 1\nb 3\nc 3\nd 2000000000\n")
    (note, _) = list_jobs(ListSettings(train=train)).notes
    assert "0, 2, 4-1999999999" in note
    assert "up to 2000000000" in note


def test_many_gaps_are_shortened(tmp_path: Path) -> None:
    train = write(tmp_path / "train.txt", "".join(f"x {2 * label}\n" for label in range(40)))
    (note, _) = list_jobs(ListSettings(train=train)).notes
    assert "17, 19 and 29 more" in note


def test_val_labels_never_learned_are_told(tmp_path: Path) -> None:
    train = write(tmp_path / "train.txt", "a 0\nb 1\n")
    val = write(tmp_path / "val.txt", "c 1\nd 5\n")
    (note,) = list_jobs(ListSettings(train=train, val=val)).notes
    assert f"{val}: labels that {train} lacks: 5" in note


def test_one_class_only(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all 2 labels are 4"):
        list_jobs(ListSettings(train=write(tmp_path / "train.txt", "a 4\nb 4\n")))


def test_an_empty_list_a_missing_one_and_one_in_another_encoding(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.txt: is empty"):
        list_jobs(ListSettings(train=write(tmp_path / "train.txt", "\n \n")))
    with pytest.raises(DataError, match=r"none\.txt: cannot be read as an image list: No such"):
        list_jobs(ListSettings(train=tmp_path / "none.txt"))
    (tmp_path / "latin.txt").write_bytes("ä 0\nb 1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.txt:1: path .* printable"):
        list_jobs(ListSettings(train=tmp_path / "latin.txt"))


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    train = write(tmp_path / "train.txt", "a 0\nb 1\n")
    with pytest.raises(DataError, match="nowhere: no such folder; --root"):
        list_jobs(ListSettings(train=train, root=tmp_path / "nowhere"))


def test_too_few_class_names(tmp_path: Path) -> None:
    train = write(tmp_path / "train.txt", "a 0\nb 2\n")
    names = write(tmp_path / "names.txt", "x\ny\n")
    with pytest.raises(DataError, match="names 2 classes, and the lists go up to label 2"):
        list_jobs(ListSettings(train=train, class_names=names))
