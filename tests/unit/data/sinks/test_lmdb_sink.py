"""The LMDB sink: Caffe's layout, a map that grows, and going on from a place in the list."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import lmdb
import numpy as np
import pytest

from caffeflow.data.convert import Converted, Picture
from caffeflow.data.sample import File, Job
from caffeflow.data.sink import SinkStart
from caffeflow.data.sinks import SINKS
from caffeflow.data.sinks import lmdb as sink_module
from caffeflow.data.sinks.lmdb import LmdbSink
from tests.support.oracles import convert_imageset as oracle


def record(sink: LmdbSink, index: int, *, side: int = 20, name: str = "a.png") -> Converted:
    image = np.full((side, side, 3), index % 251, np.uint8)
    packed = sink.pack(
        index, Job(name=name, label=index % 7, location=File(Path(name))), Picture(image, None)
    )
    return Converted(name="", label=0, key=packed.key, value=packed.value, digest=b"", shape=(), planes=None)


def contents(folder: Path) -> list[tuple[bytes, bytes]]:
    with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return list(transaction.cursor())


def test_the_table_lists_the_folder() -> None:
    folder = Path(sink_module.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == set(SINKS)
    assert len(SINKS) == 3


def test_the_folder_is_what_caffe_opens(tmp_path: Path) -> None:
    sink = LmdbSink(SinkStart(out_dir=tmp_path, split="val"))
    sink.add(record(sink, 12, name="cat/1 b.jpg"))
    sink.commit()
    sink.close()
    assert (sink.path, sink.root) == ("val_lmdb", None)
    assert sorted(path.name for path in (tmp_path / "val_lmdb").iterdir()) == ["data.mdb", "lock.mdb"]
    expected = oracle.raw_datum(np.full((20, 20, 3), 12, np.uint8), 5)
    assert contents(tmp_path / "val_lmdb") == [(b"00000012_cat/1 b.jpg", expected)]


@pytest.mark.parametrize("commit_every", [3, 1000])
@pytest.mark.parametrize("side", [3, 20, 40, 90])
def test_the_map_grows_as_it_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commit_every: int, side: int
) -> None:
    monkeypatch.setattr(sink_module, "MIN_MAP_BYTES", 1 << 16)
    monkeypatch.setattr(sink_module, "_SPARE_PAGES", 12)
    sink = LmdbSink(SinkStart(out_dir=tmp_path, split="train"))
    count = 300
    for index in range(count):
        sink.add(record(sink, index, side=side))
        if index % commit_every == commit_every - 1:
            sink.commit()
    sink.commit()
    sink.close()
    found = contents(tmp_path / "train_lmdb")
    assert [key for key, _ in found] == [oracle.key(index, "a.png") for index in range(count)]
    assert found[-1][1] == oracle.raw_datum(
        np.full((side, side, 3), (count - 1) % 251, np.uint8), (count - 1) % 7
    )


def test_what_was_not_committed_or_not_journaled_is_dropped(tmp_path: Path) -> None:
    sink = LmdbSink(SinkStart(out_dir=tmp_path, split="train"))
    for index in range(30):
        sink.add(record(sink, index))
    sink.commit()
    sink.add(record(sink, 30))
    sink.close()
    assert len(contents(tmp_path / "train_lmdb")) == 30
    again = LmdbSink(SinkStart(out_dir=tmp_path, split="train", done=11))
    for index in range(13, 25):
        again.add(record(again, index))
    again.commit()
    again.close()
    keys = [key for key, _ in contents(tmp_path / "train_lmdb")]
    assert keys == [oracle.key(index, "a.png") for index in [*range(11), *range(13, 25)]]


def test_names_that_are_no_text_are_kept_byte_for_byte(tmp_path: Path) -> None:
    sink = LmdbSink(SinkStart(out_dir=tmp_path, split="train"))
    sink.add(record(sink, 0, name=os.fsdecode(b"\xff\xfe.png")))
    sink.commit()
    sink.close()
    assert contents(tmp_path / "train_lmdb")[0][0] == b"00000000_\xff\xfe.png"


def test_errors_are_the_systems_and_name_the_folder(tmp_path: Path) -> None:
    (tmp_path / "train_lmdb").mkdir()
    (tmp_path / "train_lmdb" / "data.mdb").write_bytes(b"no database" * 1000)
    with pytest.raises(OSError, match="train_lmdb") as error:
        LmdbSink(SinkStart(out_dir=tmp_path, split="train"))
    assert error.value.errno == errno.EIO
    assert error.value.filename == str(tmp_path / "train_lmdb")
