"""KITTI's label files: a line an object, of 15 words; a 16th, a score, is for results.

    type truncated occluded alpha  left top right bottom  height width length  x y z  rotation_y

The four numbers from the fifth word on are the box in the image, in pixels with fractions. `DontCare` marks a
region in which objects were not labelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from caffeflow.data.voc_xml import MAX_CORNER, Corners
from caffeflow.errors import DataError

DONT_CARE: Final = "DontCare"
CLASSES: Final = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc")

_WORDS: Final = (15, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class KittiObject:
    """One line of a label file."""

    name: str
    corners: Corners
    line: int


def parse_kitti(content: bytes, where: str) -> tuple[KittiObject, ...]:
    """Reads a label file; an empty one is an image without objects.

    Args:
        content: Its bytes.
        where: What messages call the file.

    Raises:
        DataError: A line does not read, with `file:line`.
    """
    lines = content.decode("ascii", "replace").splitlines()
    return tuple(
        _parse_line(line.split(), f"{where}:{number}", number)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    )


def _parse_line(words: list[str], where: str, number: int) -> KittiObject:
    if len(words) not in _WORDS:
        raise DataError(
            f"{where}: has {len(words)} words, expected 15: a type and 14 numbers; is it a label of KITTI?"
        )
    try:
        left, top, right, bottom = map(float, words[4:8])
    except ValueError as error:
        raise DataError(f"{where}: the box is '{' '.join(words[4:8])}'; expected four numbers") from error
    if not all(abs(side) < MAX_CORNER for side in (left, top, right, bottom)):
        raise DataError(f"{where}: the box is '{' '.join(words[4:8])}'; expected four pixels")
    return KittiObject(name=words[0], corners=(left, top, right, bottom), line=number)
