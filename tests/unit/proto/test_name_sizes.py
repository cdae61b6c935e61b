"""The file of names and sizes of a test set."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.errors import DataError
from caffeflow.proto.name_sizes import NameSize, read_name_sizes


def test_lines_are_name_height_width(tmp_path: Path) -> None:
    path = tmp_path / "test_name_size.txt"
    path.write_text("000001 333 500\n\n  a/b.c\t7 11 \n")
    assert read_name_sizes(path) == (NameSize("000001", 333, 500), NameSize("a/b.c", 7, 11))


@pytest.mark.parametrize(
    "line",
    ["only two", "a 3", "a 3 4 5", "a b 3 4", "a -3 4", "a 3.5 4", "a ³ 4", "a 0 4", f"a {'9' * 5000} 4"],
)
def test_another_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "sizes.txt"
    path.write_text(f"first 3 5\n{line}\n")
    with pytest.raises(DataError, match=r"sizes\.txt:2: expected 'name height width'"):
        read_name_sizes(path)


def test_a_file_that_is_missing_or_empty_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.txt: name_size_file cannot be read: No such file"):
        read_name_sizes(tmp_path / "nowhere.txt")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match="has no line"):
        read_name_sizes(tmp_path / "empty.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is not text"):
        read_name_sizes(tmp_path / "binary.txt")
