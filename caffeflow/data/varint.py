"""Protobuf's variable-length numbers, for the records that are written by hand."""

from __future__ import annotations

from typing import Final

_NEGATIVE: Final = 1 << 64  # protobuf writes negative numbers as 64 bits


def varint(value: int) -> bytes:
    """Returns a number, seven bits a byte, the lowest first."""
    value %= _NEGATIVE
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
