"""What the bytes of a picture's file tell before they are decoded: format, size, and whether it is whole.

The rule to know: what a file is called says nothing; its first bytes do.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SIGNATURES: Final[tuple[tuple[str, bytes], ...]] = (
    ("jpeg", b"\xff\xd8\xff"),
    ("png", b"\x89PNG\r\n\x1a\n"),
    ("gif", b"GIF8"),
    ("bmp", b"BM"),
    ("tiff", b"II*\x00"),
    ("tiff", b"MM\x00*"),
    ("jp2", b"\x00\x00\x00\x0cjP  "),
)
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN: Final = 0xDA
_JPEG_END: Final = b"\xff\xd9"
_PNG_END: Final = b"IEND\xaeB`\x82"
_PNG_CHANNELS: Final[dict[int, int]] = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the first bytes of a JPEG or PNG say; the size is as stored, before any EXIF rotation."""

    format: str
    height: int
    width: int
    channels: int
    bits: int


def sniff(data: bytes) -> str | None:
    """Returns the format that the first bytes tell ("jpeg", "png", ...), whatever the file is called."""
    head = data[:16]
    for name, signature in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    is_portable = len(head) > 2 and head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace()
    return "pnm" if is_portable else None


def find_header(data: bytes) -> Header | None:
    """Returns size, channels and bits of a JPEG or PNG without decoding it; None for anything else.

    A JPEG with four channels is CMYK; OpenCV decodes it to BGR.
    """
    kind = sniff(data)
    if kind == "png" and len(data) >= 26:
        width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
        channels = _PNG_CHANNELS.get(colour, 0)
        return Header(format="png", height=height, width=width, channels=channels, bits=bits)
    if kind == "jpeg":
        for marker, begin, _ in _jpeg_segments(data):
            if marker in _JPEG_FRAMES and begin + 6 <= len(data):
                bits, height, width, channels = struct.unpack_from(">BHHB", data, begin)
                return Header(format="jpeg", height=height, width=width, channels=channels, bits=bits)
    return None


def is_whole(data: bytes) -> bool:
    """Tells whether a JPEG or PNG has its end mark; OpenCV versions differ in what they make of a lack."""
    kind = sniff(data)
    if kind == "png":
        return data.rfind(_PNG_END) >= 0
    if kind == "jpeg":
        # A thumbnail in the EXIF data has end marks of its own: look behind the scan's beginning. There
        # a 0xff among the data is always followed by 0, so the two bytes can only be the mark.
        scan = next((end for marker, _, end in _jpeg_segments(data) if marker == _JPEG_SCAN), None)
        return scan is not None and data.rfind(_JPEG_END, scan) >= 0  # from behind, where it mostly is
    return True


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields marker, begin and end of each segment's content, up to the first scan's header."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:  # lenient, as libjpeg: skip to the next marker
            at += 1
            continue
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # markers without content
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield marker, at + 4, at + 2 + length
        if marker == _JPEG_SCAN:
            return
        at += 2 + length
