"""Fetching from a server of our own on 127.0.0.1: resume, checksum, pages in place of files, faults."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from caffeflow.download import AddressError, Fetch, digest_of, download
from caffeflow.errors import DataError, StoppedError
from tests.support.file_server import FileServer, Served, file_server

CONTENT = bytes(range(251)) * 4001  # about a megabyte: several pieces
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "images"
    made.mkdir()
    return made


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        running.files["x.tar.gz"] = Served(CONTENT)
        yield running


@pytest.fixture
def served(server: FileServer) -> Served:
    return server.files["x.tar.gz"]


def ranges(server: FileServer) -> list[str | None]:
    return [asked for _, asked in server.asked]


def fetch_of(server: FileServer, *, md5: str = MD5, size: int | None = None) -> Fetch:
    url = server.url("x.tar.gz")
    return Fetch(url=url, checksums={"md5": md5}, size=size, timeout_s=5, pause_s=0)


def test_a_file_comes_whole_and_reports_its_progress(server: FileServer, folder: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = download(fetch_of(server), folder / "raw/x.tar.gz", on_bytes=lambda *pair: seen.append(pair))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert [p.name for p in path.parent.iterdir()] == ["x.tar.gz"]


def test_what_is_there_is_not_fetched_again(server: FileServer, folder: Path) -> None:
    (folder / "x").write_bytes(b"mine")
    download(fetch_of(server), folder / "x")
    assert ranges(server) == []
    assert (folder / "x").read_bytes() == b"mine"


def test_it_goes_on_where_it_stopped(server: FileServer, folder: Path) -> None:
    (folder / "x.part").write_bytes(CONTENT[:1000])
    download(fetch_of(server), folder / "x")
    assert ranges(server) == ["bytes=1000-"]
    assert (folder / "x").read_bytes() == CONTENT


def test_a_server_that_cannot_resume_sends_all_again(
    server: FileServer, served: Served, folder: Path
) -> None:
    served.resumes = False
    (folder / "x.part").write_bytes(b"?" * 1000)
    assert download(fetch_of(server), folder / "x").read_bytes() == CONTENT


def test_a_connection_that_breaks_is_taken_up_again(server: FileServer, served: Served, folder: Path) -> None:
    served.cut_after = 300_007
    assert download(fetch_of(server), folder / "x").read_bytes() == CONTENT
    assert len(ranges(server)) == -(-len(CONTENT) // 300_007)


def test_a_part_that_is_already_whole_is_taken(server: FileServer, folder: Path) -> None:
    (folder / "x.part").write_bytes(CONTENT)
    assert download(fetch_of(server), folder / "x").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_fetched_afresh(server: FileServer, folder: Path) -> None:
    (folder / "x.part").write_bytes(CONTENT + b"more")
    assert download(fetch_of(server), folder / "x").read_bytes() == CONTENT


def test_a_server_that_never_sends_is_given_up(server: FileServer, served: Served, folder: Path) -> None:
    served.cut_after = 0
    with pytest.raises(DataError, match="connection ended early"):
        download(fetch_of(server), folder / "x")
    assert len(ranges(server)) == 3


def test_no_server_is_one_clear_line(folder: Path) -> None:
    fetch = Fetch(url="http://127.0.0.1:9/x", timeout_s=1, tries=1)
    with pytest.raises(DataError, match=r"127\.0\.0\.1:9/x: cannot be fetched .*refused"):
        download(fetch, folder / "x")
    assert not (folder / "x").exists()


def test_a_wrong_checksum_is_kept_aside_and_never_used(server: FileServer, folder: Path) -> None:
    with pytest.raises(AddressError, match=rf"{MD5}, expected 0123; it is kept aside as .*x\.wrong"):
        download(fetch_of(server, md5="0123"), folder / "x")
    assert [p.name for p in folder.iterdir()] == ["x.wrong"]
    assert download(fetch_of(server), folder / "x").read_bytes() == CONTENT


def test_one_of_several_checksums_is_enough(server: FileServer, folder: Path) -> None:
    fetch = replace(fetch_of(server), checksums={"sha1": "0123", "md5": MD5.upper()})
    assert download(fetch, folder / "x").read_bytes() == CONTENT


def test_a_beginning_of_another_file_is_fetched_afresh(server: FileServer, folder: Path) -> None:
    (folder / "x.part").write_bytes(b"?" * 1000)
    assert download(fetch_of(server), folder / "x").read_bytes() == CONTENT
    assert ranges(server) == ["bytes=1000-", None]


def test_a_file_of_another_size_is_not_read(server: FileServer, folder: Path) -> None:
    (folder / "x.part").write_bytes(CONTENT[:1000])
    with pytest.raises(AddressError, match=f"{len(CONTENT):,} bytes, expected 7: it is another file"):
        download(fetch_of(server, size=7), folder / "x")
    assert (folder / "x.part").stat().st_size == 1000


def test_a_page_in_place_of_the_file_is_recognised(server: FileServer, served: Served, folder: Path) -> None:
    served.content = b"<!DOCTYPE html><html><title>Moved</title></html>"
    with pytest.raises(DataError, match="an HTML page"):
        download(fetch_of(server), folder / "x")
    assert list(folder.iterdir()) == []


def test_a_page_does_not_cost_what_had_come(server: FileServer, served: Served, folder: Path) -> None:
    (folder / "x.part").write_bytes(CONTENT[:1000])
    served.content, served.resumes = b"<!DOCTYPE html><html>Moved</html>", False
    with pytest.raises(AddressError, match="an HTML page"):
        download(fetch_of(server), folder / "x")
    assert (folder / "x.part").read_bytes() == CONTENT[:1000]


def test_not_found_is_not_tried_again(server: FileServer, served: Served, folder: Path) -> None:
    served.status = 404
    with pytest.raises(DataError, match="404"):
        download(fetch_of(server), folder / "x")
    assert len(ranges(server)) == 1


def test_a_server_in_trouble_is_tried_again(server: FileServer, served: Served, folder: Path) -> None:
    served.status = 503
    with pytest.raises(DataError, match="503"):
        download(fetch_of(server), folder / "x")
    assert len(ranges(server)) == 3


def test_a_stop_keeps_what_came_and_the_next_call_goes_on(server: FileServer, folder: Path) -> None:
    with pytest.raises(StoppedError, match="goes on"):
        download(fetch_of(server), folder / "x", should_stop=lambda: True)
    kept = (folder / "x.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    assert download(fetch_of(server), folder / "x").read_bytes() == CONTENT
    assert ranges(server)[1] == f"bytes={kept}-"


def test_two_processes_do_not_write_one_file(server: FileServer, folder: Path) -> None:
    with (folder / "x.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process"):
            download(fetch_of(server), folder / "x")


def test_only_http_is_fetched(folder: Path) -> None:
    (folder / "secret").write_text("s")
    with pytest.raises(DataError, match="https://"):
        download(Fetch(url=(folder / "secret").as_uri()), folder / "x")


def test_a_folder_that_cannot_be_made_is_one_clear_line(server: FileServer, folder: Path) -> None:
    (folder / "raw").write_text("a file, not a folder")
    with pytest.raises(DataError, match="cannot write"):
        download(fetch_of(server), folder / "raw/x")


def test_a_checksum_counts_the_bytes_it_reads(folder: Path) -> None:
    (folder / "x").write_bytes(CONTENT)
    counted: list[int] = []
    assert digest_of(folder / "x", "md5", on_bytes=counted.append) == MD5
    assert sum(counted) == len(CONTENT)
    with pytest.raises(DataError, match="cannot read"):
        digest_of(folder / "none", "sha1")
