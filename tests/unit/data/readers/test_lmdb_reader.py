"""Reading LMDBs: order, starts, wrap, and every way in which one may not be there."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import lmdb
import pytest

from caffeflow.data.readers.lmdb import LmdbReader
from caffeflow.errors import DataError
from tests.support.records import random_planes, write_lmdb, write_raw_lmdb

VALUES = [bytes([65 + index]) * 3 for index in range(7)]


def values_from(reader: LmdbReader, start: int, *, step: int, count: int) -> list[int]:
    """Returns which records come, as their indices."""
    return [VALUES.index(bytes(value)) for _, value in islice(reader.records(start, step=step), count)]


@pytest.fixture
def reader(tmp_path: Path) -> LmdbReader:
    with LmdbReader(write_lmdb(tmp_path / "train_lmdb", VALUES)) as opened:
        yield opened


@pytest.mark.parametrize("start", [0, 1, 6, 7, 8, 23])
@pytest.mark.parametrize("step", [1, 2, 3, 7, 10])
def test_records_go_round_from_any_start_in_any_step(reader: LmdbReader, start: int, step: int) -> None:
    expected = [(start + step * turn) % 7 for turn in range(20)]
    assert values_from(reader, start, step=step, count=20) == expected


def test_keys_come_in_byte_order_with_their_values(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        for key in (b"10", b"2", b"00000001_z", b"00000001_a"):
            transaction.put(key, b"of " + key)
    with LmdbReader(path) as opened:
        assert opened.count == 4
        found = [(key, bytes(value)) for key, value in opened.once()]
    assert found == [(key, b"of " + key) for key in (b"00000001_a", b"00000001_z", b"10", b"2")]


def test_one_lmdb_may_be_open_in_both_phases(reader: LmdbReader) -> None:
    with LmdbReader(reader.path) as second:
        assert values_from(second, 2, step=1, count=2) == [2, 3]
    assert values_from(reader, 5, step=1, count=3) == [5, 6, 0]  # closing one leaves the other open


def test_reading_leaves_no_files_behind(tmp_path: Path) -> None:
    path = write_lmdb(tmp_path / "db", VALUES)
    (path / "lock.mdb").unlink()
    path.chmod(0o555)
    with LmdbReader(path) as opened:
        assert opened.count == 7
    assert [file.name for file in path.iterdir()] == ["data.mdb"]
    path.chmod(0o755)


def test_missing_file_empty_and_foreign_places_say_what_they_are(tmp_path: Path) -> None:
    file = tmp_path / "file_lmdb"
    file.write_text("x")
    empty_folder = tmp_path / "empty_folder"
    empty_folder.mkdir()
    leveldb = tmp_path / "leveldb"
    leveldb.mkdir()
    (leveldb / "CURRENT").write_text("MANIFEST-000001\n")
    garbage = tmp_path / "garbage"
    garbage.mkdir()
    (garbage / "data.mdb").write_bytes(b"x" * 9000)
    no_records = write_lmdb(tmp_path / "no_records", [])
    for path, words in (
        (tmp_path / "nowhere", "no such LMDB"),
        (file, "is a file; expected the folder"),
        (empty_folder, "has no data.mdb"),
        (leveldb, "LevelDB"),
        (garbage, "is not an LMDB"),
        (no_records, "holds no record"),
    ):
        with pytest.raises(DataError, match=words) as caught:
            LmdbReader(path)
        assert str(path) in str(caught.value)


def test_a_truncated_lmdb_is_refused_where_lmdb_would_crash(tmp_path: Path) -> None:
    path = write_raw_lmdb(tmp_path / "db", random_planes(20, (3, 31, 37)))
    content = (path / "data.mdb").read_bytes()
    (path / "data.mdb").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=rf"{len(content) // 2} bytes, expected .*truncated"):
        LmdbReader(path)


def test_an_unfinished_dataset_is_refused(tmp_path: Path) -> None:
    path = write_lmdb(tmp_path / "digits" / "train_lmdb", VALUES)
    (tmp_path / "digits" / ".unfinished").touch()
    with pytest.raises(DataError, match="unfinished; run its caffeflow prepare again with --resume"):
        LmdbReader(path)
    with LmdbReader(path, allow_unfinished=True) as opened:
        assert opened.count == 7
    (tmp_path / "digits" / ".unfinished").unlink()
    with LmdbReader(path) as opened:
        assert opened.count == 7


def test_a_failed_opening_can_be_tried_again(tmp_path: Path) -> None:
    path = write_lmdb(tmp_path / "db", [])
    with pytest.raises(DataError):
        LmdbReader(path)
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"1", b"value")
    with LmdbReader(path) as opened:
        assert opened.count == 1
