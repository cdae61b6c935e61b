"""Zips in place: the bytes that Python's zipfile gives, and archives that must not be trusted."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from caffeflow.data.sample import Deflated, Member, UnreadableError
from caffeflow.data.zips import zip_members
from caffeflow.errors import DataError
from tests.support.detection_files import write_zip

FILES = {
    "a/empty.txt": b"",
    "a/b/deep.bin": np.random.default_rng(3).bytes(5_003),
    "a/text.txt": b"over and over " * 997,
    "übung.txt": b"x",
}


@pytest.mark.parametrize(("deflated", "kind"), [(False, Member), (True, Deflated)])
def test_members_are_read_where_they_lie(tmp_path: Path, deflated: bool, kind: type) -> None:
    path = write_zip(tmp_path / "a.zip", FILES, deflated=deflated)
    heard: list[int] = []
    members = dict(zip_members(path, on_bytes=heard.append))
    assert {name: location.read() for name, location in members.items()} == FILES
    assert list(members) == list(FILES)  # folders are no members; the order is that of the bytes
    assert {type(location) for location in members.values()} == {kind}
    assert heard == sorted(heard)
    assert all(location.archive.is_absolute() for location in members.values())


def test_the_length_of_the_extra_field_is_that_of_the_members_own_header(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.bin", "w", force_zip64=True) as member:
        member.write(b"content")  # the header before it has a field that the index lacks
    assert [location.read() for _, location in zip_members(path)] == [b"content"]


def info(name: str, **fields: object) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


UNSAFE: dict[str, tuple[zipfile.ZipInfo, str]] = {
    "upwards": (info("a/../../b"), r"member 'a/\.\./\.\./b' has an unsafe name"),
    "absolute": (info("/etc/x"), "member '/etc/x' has an unsafe name"),
    "a line break": (info("a\nb"), r"member 'a\\nb' has an unsafe name"),
    "a link": (info("link", external_attr=0o120777 << 16), "member 'link' is a link"),
    "bzip2": (info("a.txt", compress_type=zipfile.ZIP_BZIP2), "member 'a.txt' is compressed by method 12"),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_members_that_are_not_safe_are_refused(tmp_path: Path, case: str) -> None:
    member, message = UNSAFE[case]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(member, b"content")
    with pytest.raises(DataError, match=rf"a\.zip: {message}"):
        list(zip_members(tmp_path / "a.zip"))


def patched(path: Path, old: bytes, new: bytes, *, last: bool = False) -> Path:
    content = path.read_bytes()
    at = content.rindex(old) if last else content.index(old)
    path.write_bytes(content[:at] + new + content[at + len(old) :])
    return path


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"content"})
    # The index's entry: mark, two versions, flags.
    patched(path, b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")
    with pytest.raises(DataError, match=r"member 'a\.txt' is encrypted"):
        list(zip_members(path))


def test_damage_is_told(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "a.zip", FILES).read_bytes()
    path = tmp_path / "b.zip"
    path.write_bytes(whole[:-30])
    with pytest.raises(DataError, match=r"b\.zip: is no zip archive, or is truncated"):
        list(zip_members(path))
    path.write_bytes(whole)
    patched(path, b"PK\x03\x04", b"PK\x07\x04", last=True)
    with pytest.raises(DataError, match="is not where the index says: it is damaged"):
        list(zip_members(path))
    path.write_text("<!DOCTYPE html><html>moved</html>")
    with pytest.raises(DataError, match="is an HTML page, not an archive"):
        list(zip_members(path))
    with pytest.raises(DataError, match=r"none\.zip: cannot read"):
        list(zip_members(tmp_path / "none.zip"))


def deflated_member(tmp_path: Path) -> Deflated:
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"content " * 1_009}, deflated=True)
    ((_, location),) = zip_members(path)
    assert isinstance(location, Deflated)
    return location


def test_a_deflated_member_that_lies_about_its_size_is_not_unpacked_beyond_it(tmp_path: Path) -> None:
    member = deflated_member(tmp_path)
    for size in (5, 8 * 1_009 - 1, 8 * 1_009 + 1):
        with pytest.raises(UnreadableError, match=f"does not unpack to {size} bytes") as caught:
            Deflated(member.archive, member.offset, member.stored_size, size).read()
        assert caught.value.reason == "truncated"


def test_a_damaged_deflated_member_is_unreadable(tmp_path: Path) -> None:
    member = deflated_member(tmp_path)
    content = bytearray(member.archive.read_bytes())
    content[member.offset] = 0xFF  # no block is of this kind
    member.archive.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"a\.zip: the member at byte \d+ is damaged") as caught:
        member.read()
    assert caught.value.reason == "unreadable"


def test_a_member_behind_the_end_is_damage(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"content"})
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    struct.pack_into("<II", content, entry + 20, 5_000, 5_000)  # its sizes, stored and unpacked
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not where the index says"):
        list(zip_members(path))
