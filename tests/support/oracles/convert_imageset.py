"""convert_imageset and compute_image_mean, written with loops from the formulas."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def key(index: int, name: str) -> bytes:
    """Eight digits at least, an underscore, and the path as the list has it."""
    digits = str(index)
    while len(digits) < 8:
        digits = "0" + digits
    return digits.encode() + b"_" + name.encode()


def varint(value: int) -> bytes:
    out = []
    while True:
        low = value % 128
        value //= 128
        out.append(low + 128 if value else low)
        if not value:
            return bytes(out)


def raw_datum(picture: NDArray[np.uint8], label: int) -> bytes:
    """channels(1) height(2) width(3) data(4) label(5) encoded(7): all set; planes of blue, green, red."""
    if picture.ndim == 2:
        picture = picture[:, :, None]
    height, width, channels = picture.shape
    data = bytearray()
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                data.append(int(picture[y, x, c]))
    out = bytes([1 * 8]) + varint(channels) + bytes([2 * 8]) + varint(height) + bytes([3 * 8]) + varint(width)
    out += bytes([4 * 8 + 2]) + varint(len(data)) + bytes(data)
    return out + bytes([5 * 8]) + varint(label) + bytes([7 * 8, 0])


def encoded_datum(file: bytes, label: int) -> bytes:
    """data(4) label(5) encoded(7), nothing else."""
    return bytes([4 * 8 + 2]) + varint(len(file)) + file + bytes([5 * 8]) + varint(label) + bytes([7 * 8, 1])


def convert(
    entries: list[tuple[str, int, bytes]],
    *,
    gray: bool = False,
    size: tuple[int, int] | None = None,
    encoding: str = "",
) -> list[tuple[bytes, bytes]]:
    """Returns the records of a list of (name, label, file content); unreadable files use their index up."""
    records = []
    for index, (name, label, content) in enumerate(entries):
        flag = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), flag) if content else None
        if picture is None:
            continue
        if size is not None:
            picture = cv2.resize(picture, (size[1], size[0]))
        if not encoding:
            value = raw_datum(picture, label)
        else:
            extension = name.split(".")[-1].lower()
            fits = extension == encoding or (encoding == "jpg" and extension == "jpeg")
            file = content if fits and size is None else cv2.imencode("." + encoding, picture)[1].tobytes()
            value = encoded_datum(file, label)
        records.append((key(index, name), value))
    return records


def mean(pictures: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Sums (C, H, W) pictures one after the other in float32, then divides once."""
    sums = np.zeros(pictures[0].shape, np.float32)
    for picture in pictures:
        for place in np.ndindex(sums.shape):
            sums[place] = np.float32(sums[place] + np.float32(picture[place]))
    for place in np.ndindex(sums.shape):
        sums[place] = np.float32(sums[place] / np.float32(len(pictures)))
    return sums
