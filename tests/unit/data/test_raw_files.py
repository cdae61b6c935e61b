"""Where raw files are looked for, and what is said when they are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.data.raw_files import RawFile, find_first, missing, places

FILE = RawFile(name="x.tar", size=1_234_567, md5="0123", what="everything")


def test_the_named_folder_goes_first_and_the_variable_last(monkeypatch: pytest.MonkeyPatch) -> None:
    assert places() == (Path(), Path("data/raw"))
    monkeypatch.setenv("CAFFEFLOW_DATA", "/archive")
    assert places(Path("mine")) == (Path("mine"), Path(), Path("data/raw"), Path("/archive"))
    assert places(Path("data/raw")) == (Path("data/raw"), Path(), Path("/archive"))


def test_all_folders_are_tried_for_a_name_before_the_next_name(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for path in (first / "worse", second / "better"):
        path.parent.mkdir()
        path.write_text("")
    assert find_first(("better", "worse"), (first, second)) == second / "better"
    assert find_first(("worse", "better"), (first, second)) == first / "worse"
    assert find_first(("other",), (first, second)) is None


def test_the_message_says_what_where_from_and_where_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def message() -> str:
        return str(missing("X", [FILE], folders=places(), where_to_get="Buy it."))

    assert "X is not here" in message()
    assert "x.tar  1,234,567 bytes  md5 0123  (everything)" in message()
    assert "Buy it." in message()
    assert "Looked in ./, data/raw/ ($CAFFEFLOW_DATA is not set)" in message()
    monkeypatch.setenv("CAFFEFLOW_DATA", "/archive")
    assert "Looked in ./, data/raw/, /archive/." in message()
