"""SSD's convert_annoset and get_image_size, written with loops from the formulas: bytes by hand, no protobuf."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass
class Item:
    """An image file and its boxes in pixels: (label, xmin, ymin, xmax, ymax, difficult)."""

    name: str
    content: bytes
    boxes: list[tuple[int, float, float, float, float, bool]] = field(default_factory=list)
    annotated: tuple[int, int] | None = None  # height, width


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; a negative number as 64 bits."""
    value %= 1 << 64
    out = []
    while True:
        low = value % 128
        value //= 128
        out.append(low + 128 if value else low)
        if not value:
            return bytes(out)


def number(field_number: int, value: int) -> bytes:
    return varint(field_number * 8) + varint(value)


def floating(field_number: int, value: np.float32) -> bytes:
    return varint(field_number * 8 + 5) + struct.pack("<f", value)


def block(field_number: int, content: bytes) -> bytes:
    return varint(field_number * 8 + 2) + varint(len(content)) + content


def datum(picture: NDArray[np.uint8], file: bytes | None, label: int = -1) -> bytes:
    """channels(1) height(2) width(3) data(4) label(5) encoded(7), whether encoded or not."""
    height, width = picture.shape[:2]
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    if file is None:
        planes = picture.reshape(height, width, channels)
        data = bytes(
            int(planes[y, x, c]) for c in range(channels) for y in range(height) for x in range(width)
        )
    else:
        data = file
    head = number(1, channels) + number(2, height) + number(3, width)
    return head + block(4, data) + number(5, label) + number(7, 0 if file is None else 1)


def bounding_box(box: tuple[int, float, float, float, float, bool], height: int, width: int) -> bytes:
    """xmin(1) ymin(2) xmax(3) ymax(4) difficult(6), divided in single precision."""
    _, xmin, ymin, xmax, ymax, difficult = box
    out = floating(1, np.float32(xmin) / np.float32(width))
    out += floating(2, np.float32(ymin) / np.float32(height))
    out += floating(3, np.float32(xmax) / np.float32(width))
    out += floating(4, np.float32(ymax) / np.float32(height))
    return out + number(6, 1 if difficult else 0)


def annotated_datum(datum_bytes: bytes, item: Item, height: int, width: int) -> bytes:
    """datum(1) type(2) annotation_group(3): a group a label, in the order in which labels first appear."""
    out = block(1, datum_bytes) + number(2, 0)
    labels: list[int] = []
    for box in item.boxes:
        if box[0] not in labels:
            labels.append(box[0])
    for label in labels:
        group = number(1, label)
        instance = 0
        for box in item.boxes:
            if box[0] == label:
                group += block(2, number(1, instance) + block(2, bounding_box(box, height, width)))
                instance += 1
        out += block(3, group)
    return out


def key(index: int, name: str) -> bytes:
    digits = str(index)
    while len(digits) < 8:
        digits = "0" + digits
    return digits.encode() + b"_" + name.encode()


def scale_factor(height: int, width: int, min_dim: int, max_dim: int) -> np.float32:
    """The factor by which an image is scaled, aspect kept."""
    factor = np.float32(1)
    if min_dim > 0 and min(height, width) < min_dim:
        factor = np.float32(min_dim) / np.float32(min(height, width))
    if max_dim > 0 and int(factor * np.float32(max(height, width))) > max_dim:
        factor = np.float32(max_dim) / np.float32(max(height, width))
    return factor


def convert(
    items: list[Item],
    *,
    gray: bool = False,
    size: tuple[int, int] | None = None,
    min_dim: int = 0,
    max_dim: int = 0,
    encoding: str = "",
) -> list[tuple[bytes, bytes]]:
    """Returns the records of a list of images; unreadable ones use their index up."""
    records = []
    for index, item in enumerate(items):
        flag = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
        original = cv2.imdecode(np.frombuffer(item.content, np.uint8), flag) if item.content else None
        if original is None:
            continue
        picture = original
        if min_dim > 0 or max_dim > 0:
            factor = scale_factor(*original.shape[:2], min_dim, max_dim)
            if factor != 1:
                picture = cv2.resize(original, (0, 0), fx=float(factor), fy=float(factor))
        elif size is not None:
            picture = cv2.resize(original, (size[1], size[0]))
        file = None
        if encoding:
            extension = item.name.split(".")[-1].lower()
            fits = extension == encoding or (encoding == "jpg" and extension == "jpeg")
            is_kept = fits and size is None and min_dim == 0 and max_dim == 0
            file = item.content if is_kept else cv2.imencode("." + encoding, picture)[1].tobytes()
        height, width = item.annotated or original.shape[:2]
        value = annotated_datum(datum(picture, file), item, height, width)
        records.append((key(index, item.name), value))
    return records


def name_size_lines(items: list[Item]) -> list[str]:
    """What get_image_size writes: the name without folder and extension, height, width."""
    lines = []
    for item in items:
        picture = cv2.imdecode(np.frombuffer(item.content, np.uint8), cv2.IMREAD_COLOR)
        lines.append(f"{PurePosixPath(item.name).stem} {picture.shape[0]} {picture.shape[1]}")
    return lines
