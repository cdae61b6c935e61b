"""Reading tars in place: offsets are right at every depth, unsafe names and early ends are refused."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from caffeflow.data.archives import inner_entries, read_members, tar_entries, unpack
from caffeflow.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "images"
    made.mkdir()
    return made


def tar_bytes(files: dict[str, bytes], *, format: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def tar_of(info: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    return out.getvalue()


FILES = {"a/1.txt": b"one", "a/2.txt": b"x" * 1300, "empty": b"", "b/" + "long" * 40 + ".txt": b"seven"}


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_offsets_lead_to_the_bytes(folder: Path, format: int) -> None:
    files = dict(list(FILES.items())[:3]) if format == tarfile.USTAR_FORMAT else FILES
    path = folder / "x.tar"
    path.write_bytes(tar_bytes(files, format=format))
    raw = path.read_bytes()
    found = {entry.name: raw[entry.offset : entry.offset + entry.size] for entry in tar_entries(path)}
    assert found == files
    assert list(found) == list(files)


def test_offsets_of_a_tar_within_a_tar_count_from_the_outer_file(folder: Path) -> None:
    path = folder / "outer.tar"
    path.write_bytes(tar_bytes({"first.tar": tar_bytes({"p": b"pp"}), "second.tar": tar_bytes(FILES)}))
    raw = path.read_bytes()
    inner = [list(inner_entries(path, entry)) for entry in tar_entries(path)]
    assert [entry.name for entry in inner[0]] == ["p"]
    assert {e.name: raw[e.offset : e.offset + e.size] for e in inner[1]} == FILES


def test_a_dot_before_names_is_taken_off(folder: Path) -> None:
    path = folder / "x.tar"
    path.write_bytes(tar_bytes({"./a/1.txt": b"one"}))
    assert [entry.name for entry in tar_entries(path)] == ["a/1.txt"]


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "a\\..\\evil", "line\nbreak", "b\udcff"]
)
def test_unsafe_names_are_refused(folder: Path, name: str) -> None:
    path = folder / "x.tar"
    info = tarfile.TarInfo(name)
    info.size = 3
    path.write_bytes(tar_of(info))
    with pytest.raises(DataError, match="unsafe name"):
        list(tar_entries(path))
    with pytest.raises(DataError, match="unsafe name"):
        unpack(path, folder / "target", lambda _: True)
    assert sorted(p.name for p in folder.iterdir()) == ["x.tar"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_are_refused(folder: Path, kind: bytes) -> None:
    path = folder / "x.tar"
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "../../outside"
    path.write_bytes(tar_of(info))
    with pytest.raises(DataError, match=r"link to '\.\./\.\./outside'"):
        list(tar_entries(path))


def test_a_device_is_refused(folder: Path) -> None:
    path = folder / "x.tar"
    info = tarfile.TarInfo("fifo")
    info.type = tarfile.FIFOTYPE
    path.write_bytes(tar_of(info))
    with pytest.raises(DataError, match="'fifo' is neither"):
        list(tar_entries(path))


@pytest.mark.parametrize("keep", [512 + 100, 512, 2 * 512, 2 * 512 + 100, 3 * 512 + 700])
def test_an_archive_cut_anywhere_is_truncated(folder: Path, keep: int) -> None:
    """Within a member, within a header, and between two members, where tarfile itself sees no fault."""
    path = folder / "x.tar"
    path.write_bytes(tar_bytes({"a": b"x" * 512, "b": b"y" * 1300})[:keep])
    with pytest.raises(DataError, match="truncated"):
        list(tar_entries(path))


def test_a_damaged_header_in_the_middle_is_no_end(folder: Path) -> None:
    path = folder / "x.tar"
    raw = bytearray(tar_bytes({"a": b"x" * 512, "b": b"y" * 512}))
    raw[1024] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"x\.tar: is not a tar archive, or is damaged"):
        list(tar_entries(path))


def test_an_inner_tar_that_ends_early_is_named(folder: Path) -> None:
    path = folder / "outer.tar"
    path.write_bytes(tar_bytes({"n01.tar": tar_bytes({"a": b"x" * 512})[:700], "n02.tar": b""}))
    first, second = tar_entries(path)
    with pytest.raises(DataError, match=r"member 'n01\.tar': ends at byte 700 within 'a'"):
        list(inner_entries(path, first))
    with pytest.raises(DataError, match=r"member 'n02\.tar'.*truncated"):
        list(inner_entries(path, second))


@pytest.mark.parametrize("compress", [False, True])
def test_members_are_read_from_plain_and_gzipped_tars(folder: Path, compress: bool) -> None:
    path = folder / "x.tar.gz"
    raw = tar_bytes(FILES)
    path.write_bytes(gzip.compress(raw) if compress else raw)
    assert read_members(path, lambda name: name.startswith("a/")) == {
        "a/1.txt": b"one",
        "a/2.txt": b"x" * 1300,
    }


@pytest.mark.parametrize("fault", ["cut", "flipped"])
def test_a_damaged_gzip_is_an_error_and_leaves_nothing(folder: Path, fault: str) -> None:
    path = folder / "x.tar.gz"
    raw = bytearray(gzip.compress(tar_bytes({"a": bytes(range(256)) * 40})))
    if fault == "cut":
        del raw[-6:]  # within the checksum: all of the content is there
    else:
        raw[-7] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"x\.tar\.gz: is damaged or truncated"):
        unpack(path, folder / "target", lambda _: True)
    assert [p.name for p in folder.iterdir()] == ["x.tar.gz"]


def test_unpack_makes_a_flat_folder_of_the_wanted(folder: Path) -> None:
    path = folder / "x.tar"
    path.write_bytes(tar_bytes(FILES))
    counted: list[int] = []
    unpack(path, folder / "deep/target", lambda name: name != "empty", on_bytes=counted.append)
    found = {p.name: p.read_bytes() for p in (folder / "deep/target").iterdir()}
    assert found == {name.rpartition("/")[2]: content for name, content in FILES.items() if content}
    assert sum(counted) == sum(map(len, FILES.values()))


@pytest.mark.parametrize(
    ("head", "truth"),
    [
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a git-lfs pointer"),
    ],
)
def test_what_is_no_archive_is_named(folder: Path, head: bytes, truth: str) -> None:
    (folder / "x.tar").write_bytes(head + bytes(512))
    with pytest.raises(DataError, match=truth):
        list(tar_entries(folder / "x.tar"))


def test_a_compressed_tar_cannot_be_read_in_place(folder: Path) -> None:
    (folder / "x.tar").write_bytes(gzip.compress(tar_bytes(FILES)))
    with pytest.raises(DataError, match="gunzip"):
        list(tar_entries(folder / "x.tar"))


def test_a_missing_archive_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"none\.tar: cannot read: No such file"):
        list(tar_entries(folder / "none.tar"))
