"""Image lists: spaces in paths, labels behind the last space, and lines that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.data.readers.image_list import ImageList, read_image_list
from caffeflow.errors import DataError


def read(tmp_path: Path, text: str | bytes) -> ImageList:
    path = tmp_path / "train.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_image_list(path)


def test_the_label_is_behind_the_last_space(tmp_path: Path) -> None:
    entries = read(tmp_path, "a b/1 2.jpg 3\nplain.png -1\n  led.png 0\r\n\nlast.jpg +12")
    assert len(entries) == 4
    assert [entries.name(index) for index in range(4)] == [
        "a b/1 2.jpg",
        "plain.png",
        "  led.png",
        "last.jpg",
    ]
    assert entries.labels.tolist() == [3, -1, 0, 12]
    assert [entries.where(index).rpartition(":")[2] for index in range(4)] == ["1", "2", "3", "5"]


def test_paths_need_not_be_utf8(tmp_path: Path) -> None:
    name = b"caf\xe9.png"
    (tmp_path / "list.txt").write_bytes(name + b" 1\n")
    assert Path(read_image_list(tmp_path / "list.txt").name(0)) == Path(name.decode(errors="surrogateescape"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cat.jpg", "expected 'path label', found 'cat.jpg'"),
        ("cat.jpg\t3", "a tab stands where a space must"),
        ("cat.jpg three", "label 'three' is not a whole number"),
        ("cat.jpg 3 ", "label '' is not a whole number"),
        ("cat.jpg 3.0", "label '3.0' is not a whole number"),
        ("cat.jpg 3000000000", "3000000000 does not fit"),
        ("cat.jpg " + "9" * 5000, "999 does not fit"),
        (" 3", "expected 'path label'"),
    ],
)
def test_bad_lines_are_named_with_their_number(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read(tmp_path, f"good.jpg 1\n\n{line}\n")
    assert "train.txt:3: " in str(caught.value)


def test_missing_empty_and_unfinished_lists(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.txt: .*No such file"):
        read_image_list(tmp_path / "nowhere.txt")
    with pytest.raises(DataError, match=r"train.txt: is empty"):
        read(tmp_path, "\n \n")
    (tmp_path / ".unfinished").touch()
    with pytest.raises(DataError, match="unfinished"):
        read(tmp_path, "a.jpg 0\n")
