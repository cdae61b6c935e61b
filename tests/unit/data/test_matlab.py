"""The table reader against files that scipy writes."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from caffeflow.data.matlab import read_struct_array
from caffeflow.errors import DataError

FIELDS = [("id", object), ("wnid", object), ("words", object), ("children", object), ("none", object)]
ROWS: list[tuple[Any, ...]] = [
    (np.float64(1), "n01440764", "tench, Tinca tinca", np.arange(7.0), ""),
    (np.uint8(2), "n01", "é, ü and ∂", np.float64(-0.5), np.zeros((0, 0))),
    (np.int16(-3), "x", "y" * 700, {"a": 1}, np.array([[1, 2]])),
]


def saved(rows: list[tuple[Any, ...]], *, compress: bool, name: str = "synsets") -> bytes:
    table = np.empty((len(rows), 1), dtype=FIELDS)
    for index, row in enumerate(rows):
        table[index, 0] = row
    out = io.BytesIO()
    savemat(out, {"other": np.eye(3), name: table, "last": "text"}, do_compression=compress)
    return out.getvalue()


@pytest.mark.parametrize("compress", [False, True])
def test_text_and_numbers_of_every_row(compress: bool) -> None:
    rows = read_struct_array(saved(ROWS, compress=compress), "synsets", where="meta.mat")
    assert rows == [
        {"id": 1.0, "wnid": "n01440764", "words": "tench, Tinca tinca", "children": None, "none": ""},
        {"id": 2.0, "wnid": "n01", "words": "é, ü and ∂", "children": -0.5, "none": None},
        {"id": -3.0, "wnid": "x", "words": "y" * 700, "children": None, "none": None},
    ]


def test_a_table_as_long_as_the_devkits() -> None:
    rows = [(np.float64(i), f"n{i:08}", "w" * (i % 91), np.zeros(0), "") for i in range(1, 1861)]
    read = read_struct_array(saved(rows, compress=True), "synsets", where="meta.mat")
    assert [row["id"] for row in read] == list(range(1, 1861))
    assert [row["wnid"] for row in read] == [f"n{i:08}" for i in range(1, 1861)]


def element(kind: int, data: bytes) -> bytes:
    return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)


def test_the_other_byte_order() -> None:
    """A file by hand, as a big-endian machine writes it: one struct with one number."""

    def matrix(kind: int, content: bytes, name: bytes = b"") -> bytes:
        flags = element(6, struct.pack(">II", kind, 0))
        return element(14, flags + element(5, struct.pack(">ii", 1, 1)) + element(1, name) + content)

    small = struct.pack(">HHH2x", 2, 4, 513)  # two bytes of kind uint16 within the tag
    names = element(5, struct.pack(">i", 4)) + element(1, b"id\0\0")
    content = b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + matrix(2, names + matrix(6, small), b"t")
    assert read_struct_array(content, "t", where="x") == [{"id": 513.0}]


@pytest.mark.parametrize("compress", [False, True])
def test_no_cut_passes_and_none_escapes_as_another_error(compress: bool) -> None:
    whole = saved(ROWS[:2], compress=compress, name="synsets")
    begin = whole.index(b"synsets") if not compress else 200
    for end in range(begin, len(whole) - 300, 7):
        with pytest.raises(DataError, match=r"^meta\.mat: "):
            read_struct_array(whole[:end], "synsets", where="meta.mat")


def test_no_flipped_byte_escapes_as_another_error() -> None:
    whole = saved(ROWS[:2], compress=False)
    read = 0
    for at in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        try:
            read_struct_array(bytes(damaged), "synsets", where="meta.mat")
            read += 1
        except DataError as error:
            assert str(error).startswith("meta.mat: ")  # noqa: PT017 - text may change unnoticed, kinds may not
    assert read > 0


def test_other_files_and_other_variables_are_refused() -> None:
    with pytest.raises(DataError, match=r"x\.mat: is not a MATLAB 5 file"):
        read_struct_array(b"\x89HDF\r\n\x1a\n" + bytes(512), "synsets", where="x.mat")
    with pytest.raises(DataError, match="has no variable 'nothing'"):
        read_struct_array(saved(ROWS, compress=True), "nothing", where="x.mat")
    with pytest.raises(DataError, match="expected structs"):
        read_struct_array(saved(ROWS, compress=True), "other", where="x.mat")
