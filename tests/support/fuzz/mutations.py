"""Bytes near real files: most random bytes are refused at once, near misses reach the code behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from hypothesis import strategies as st

Edit = Callable[[bytes, int, int, bytes], bytes]

_EDITS: Final[Sequence[Edit]] = (
    lambda content, start, _stop, piece: content[:start] + piece + content[start + len(piece) :],  # overwrite
    lambda content, start, _stop, piece: content[:start] + piece + content[start:],
    lambda content, start, stop, _piece: content[:start] + content[stop:],
    lambda content, start, stop, _piece: content[:stop] + content[start:stop] + content[stop:],
    lambda content, start, stop, piece: content[:start] + piece + content[stop:],
    lambda content, start, _stop, _piece: content[:start],
)

NUMBERS: Final = (
    b"\x00", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80",
    b"\xff" * 9 + b"\x01", b"\x80" * 9 + b"\x01", b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\x07", b"\x00" * 8,
)  # fmt: skip
"""Whole numbers as binary files keep them, where lengths and dimensions end or begin."""


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes], pieces: Sequence[bytes] = NUMBERS) -> bytes:
    """Draws one of `seeds` with a few edits: pieces put in or over, stretches left out or doubled."""
    content = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.integers(0, 40)))
        piece = draw(st.sampled_from(pieces) | st.binary(max_size=4))
        content = draw(st.sampled_from(_EDITS))(content, start, stop, piece)
    return content


def bytes_near(seeds: Sequence[bytes], pieces: Sequence[bytes] = NUMBERS) -> st.SearchStrategy[bytes]:
    """Draws mutated seeds, and now and then any bytes at all."""
    return st.one_of(mutated(seeds, pieces), mutated(seeds, pieces), st.binary(max_size=200))
