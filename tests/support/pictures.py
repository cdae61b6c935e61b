"""Picture files with what real collections have: EXIF rotation, thumbnails, CMYK."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray


def photo(height: int = 47, width: int = 61) -> NDArray[np.uint8]:
    """A smooth coloured picture, so that JPEG keeps it nearly."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [127 + 120 * np.sin(x / 9), 127 + 120 * np.cos(y / 7), 4 * np.abs(x - y) % 256]
    return np.stack(planes, axis=2).astype(np.uint8)


def with_exif_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Inserts an EXIF segment with one tag behind the JPEG's first marker."""
    tag = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"II*\0" + struct.pack("<IH", 8, 1) + tag + struct.pack("<I", 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def with_thumbnail(jpeg: bytes, thumbnail: bytes) -> bytes:
    """Inserts a segment that holds a whole JPEG, end mark included, as cameras do."""
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + jpeg[2:]


def cmyk_jpeg(jpeg_planes: int = 4) -> bytes:
    """A baseline JPEG of one 8x8 block with four components and Adobe's marker; every value is 128."""
    quantization = b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64)
    parts = b"".join(struct.pack(">BBB", i + 1, 0x11, 0) for i in range(jpeg_planes))
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 8 + 3 * jpeg_planes, 8, 8, 8, jpeg_planes) + parts
    one_code = bytes([1] + [0] * 15) + b"\0"  # the code "0" means: no difference, or end of block
    tables = b"".join(b"\xff\xc4" + struct.pack(">HB", 20, kind) + one_code for kind in (0x00, 0x10))
    adobe = b"\xff\xee" + struct.pack(">H", 14) + b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 0)
    scan_parts = b"".join(bytes([i + 1, 0]) for i in range(jpeg_planes))
    scan = b"\xff\xda" + struct.pack(">HB", 6 + 2 * jpeg_planes, jpeg_planes) + scan_parts + b"\0\x3f\0"
    return b"\xff\xd8" + adobe + quantization + frame + tables + scan + b"\0\xff\xd9"
