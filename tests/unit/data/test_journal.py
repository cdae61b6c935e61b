"""The journal: the newest whole line of each split counts; half-written ones do not."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from caffeflow.data.journal import CountedText, Entry, Journal, read_journal
from caffeflow.errors import DataError

ENTRIES = [
    Entry(split="train", tally={"done": 5}, sink={"list_bytes": 7}, rejects=3, sums="sums-5.npy"),
    Entry(split="train", tally={"done": 9}),
    Entry(split="val", tally={"done": 2}),
]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    with closing(Journal(tmp_path / "journal")) as writing:
        for entry in ENTRIES:
            writing.write(entry)
    return tmp_path / "journal"


def test_the_newest_entry_of_each_split_counts(journal: Path) -> None:
    assert read_journal(journal) == {"train": ENTRIES[1], "val": ENTRIES[2]}


def test_cut_at_any_byte_the_whole_lines_before_count(journal: Path) -> None:
    whole = journal.read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole)):
        journal.write_bytes(whole[:length])
        lines = sum(end <= length for end in ends)
        assert read_journal(journal) == {entry.split: entry for entry in ENTRIES[:lines]}
        assert journal.read_bytes() == whole[: ([0, *ends][lines])]


@pytest.mark.parametrize("garbage", [b"\n", b"{}\n", b"\0\0\0\0\n", b'{"split": 3\n', b"[1]\n"])
def test_what_does_not_parse_is_cut_off_and_writing_goes_on(journal: Path, garbage: bytes) -> None:
    with journal.open("ab") as file:
        file.write(garbage)
    assert read_journal(journal)["val"] == ENTRIES[2]
    with closing(Journal(journal)) as writing:
        writing.write(ENTRIES[0])
    assert read_journal(journal)["train"] == ENTRIES[0]


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "none") == {}


def test_a_text_goes_on_from_its_committed_length(tmp_path: Path) -> None:
    with closing(CountedText(tmp_path / "list", length=0)) as text:
        text.add(b"one")
        assert text.commit() == 4
        text.add(b"lost")
    assert (tmp_path / "list").read_bytes() == b"one\nlost\n"
    with closing(CountedText(tmp_path / "list", length=4)) as text:
        text.add(b"two")
        assert text.commit() == 8
        assert text.commit() == 8
    assert (tmp_path / "list").read_bytes() == b"one\ntwo\n"


def test_a_text_that_lost_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"on")
    with pytest.raises(DataError, match="shorter than the journal says"):
        CountedText(tmp_path / "list", length=4)
