"""Reads a table (an array of structs) from a MATLAB level 5 file, such as the one in ImageNet's devkit.

Only what such a table needs: text and single numbers. A file is a header of 128 bytes and a row of elements;
an element is a tag (kind and length) and its data, padded to 8 bytes; a short one keeps its data in the tag.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, TypeAlias

from caffeflow.errors import DataError

Value: TypeAlias = "str | float | None"

_HEADER: Final = 128
_INT8, _UINT16, _COMPRESSED, _UTF8, _UTF16, _UTF32 = 1, 4, 15, 16, 17, 18
_NUMBERS: Final = {
    1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 9: "d", 12: "q", 13: "Q",
}  # fmt: skip
_STRUCT, _CHAR, _FIRST_NUMERIC, _LAST_NUMERIC = 2, 4, 6, 15
_MAX_EXPANDED: Final = 64 << 20  # the devkit's table is 0.3 MB


def read_struct_array(content: bytes, variable: str, *, where: str) -> list[dict[str, Value]]:
    """Returns the structs of a variable, in order; a field that is neither text nor one number is None.

    Args:
        content: The file's bytes.
        variable: The name of the array of structs.
        where: What to call the file in messages.

    Raises:
        DataError: It is no such file, it is damaged, or it has no such variable.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None or content[:6] != b"MATLAB":
        raise DataError(f"{where}: is not a MATLAB 5 file; expected the one of the devkit")
    try:
        for kind, data in _elements(content[_HEADER:], order):
            matrix = _Matrix(_expand(data, order, where) if kind == _COMPRESSED else data, order)
            if matrix.name == variable:
                return matrix.structs()
    except (struct.error, zlib.error, StopIteration, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{where}: is damaged or truncated ({error}); get it again") from error
    raise DataError(f"{where}: has no variable '{variable}'; expected the file of the devkit")


class _Matrix:
    """One array: its class, its shape, its name, and the elements that make its content."""

    def __init__(self, data: bytes, order: str) -> None:
        self._order = order
        self._rest = _elements(data, order)
        flags = next(self._rest, None)
        if flags is None:  # an array without content is written without anything
            self.kind, self.count, self.name = 0, 0, ""
            return
        (word,) = struct.unpack_from(f"{order}I", flags[1])
        self.kind = word & 0xFF
        dimensions = next(self._rest)[1]
        self.count = 1
        for side in struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions):
            self.count *= side
        self.name = next(self._rest)[1].decode("latin-1")

    def structs(self) -> list[dict[str, Value]]:
        """Returns the array's structs."""
        if self.kind != _STRUCT:
            message = f"'{self.name}' is an array of class {self.kind}, expected structs"
            raise ValueError(message)
        (width,) = struct.unpack_from(f"{self._order}i", next(self._rest)[1])
        joined = next(self._rest)[1]
        if width < 1 or not joined:
            message = "its structs have no fields"
            raise ValueError(message)
        names = [
            joined[at : at + width].split(b"\0")[0].decode("latin-1") for at in range(0, len(joined), width)
        ]
        return [
            {name: _Matrix(next(self._rest)[1], self._order).value() for name in names}
            for _ in range(self.count)
        ]

    def value(self) -> Value:
        """Returns text or a single number; None for anything else."""
        if self.kind == _CHAR:
            return _text(*next(self._rest, (_INT8, b"")), self._order)
        if self.count == 1 and _FIRST_NUMERIC <= self.kind <= _LAST_NUMERIC:
            # The class says what the number is in MATLAB; stored it may be smaller.
            kind, data = next(self._rest)
            if kind not in _NUMBERS:
                message = f"a number is stored as kind {kind}"
                raise ValueError(message)
            return float(struct.unpack_from(f"{self._order}{_NUMBERS[kind]}", data)[0])
        return None


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yields kind and data of each element."""
    at = 0
    while at < len(data):
        (word,) = struct.unpack_from(f"{order}I", data, at)
        kind, length = word & 0xFFFF, word >> 16
        begin = at + 4
        if length == 0:
            kind, length = struct.unpack_from(f"{order}II", data, at)
            begin = at + 8
        if begin + length > len(data):
            message = f"an element ends {begin + length - len(data)} bytes behind its surroundings"
            raise ValueError(message)
        yield kind, data[begin : begin + length]
        used = begin + length - at
        at += used if kind == _COMPRESSED else -(-used // 8) * 8


def _expand(data: bytes, order: str, where: str) -> bytes:
    """Returns the data of the one element that a compressed element holds."""
    expander = zlib.decompressobj()
    expanded = expander.decompress(data, _MAX_EXPANDED)
    if expander.unconsumed_tail:
        raise DataError(
            f"{where}: unpacks to more than {_MAX_EXPANDED:,} bytes; this is not the devkit's file"
        )
    return next(_elements(expanded, order))[1]


def _text(kind: int, data: bytes, order: str) -> str:
    wide, wider = ("utf-16-le", "utf-32-le") if order == "<" else ("utf-16-be", "utf-32-be")
    encodings = {_UINT16: wide, _UTF8: "utf-8", _UTF16: wide, _UTF32: wider}
    return data.decode(encodings.get(kind, "latin-1"))
