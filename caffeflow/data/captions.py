"""Pictures with lines of text below them: one, or many side by side on a sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from caffeflow import images
from caffeflow.data.readers.datum import Planes
from caffeflow.images import Image

_GAP: Final = 8
_SMALLEST: Final = 224  # sides of a picture that is shown alone: smaller ones are enlarged
_CELL: Final = 160  # the longer side of a picture on a sheet
_TEXT: Final = 9  # height of a capital letter, in pictures up to _PLAIN
_PLAIN: Final = 480


@dataclass(frozen=True, slots=True)
class Captioned:
    """A picture and the lines that stand below it."""

    image: Image
    lines: tuple[str, ...]


def picture_of(planes: Planes) -> Image:
    """Returns planes (C, H, W), of any range, as a picture in colour."""
    whole = np.clip(planes, 0, 255).astype(np.uint8)
    colour = whole[[0, 0, 0]] if len(whole) < 3 else whole[:3]  # an alpha plane is not shown
    return np.ascontiguousarray(colour.transpose(1, 2, 0))


def with_lines_below(image: Image, lines: Sequence[str]) -> Image:
    """Returns a picture, (H, W, 3) or gray (H, W), with lines below it; small ones are enlarged."""
    picture = _enlarged(_in_colour(image))
    height, width = picture.shape[:2]
    text = max(_TEXT, round(_TEXT * min(height, width) / _PLAIN))
    step = text + round(text * 0.8)
    widest = max((images.text_width(line, height=text) for line in lines), default=0)
    made = np.full((height + step * len(lines) + 2 * _GAP, max(width, widest + 2 * _GAP), 3), 255, np.uint8)
    made[:height, :width] = picture
    for number, line in enumerate(lines, 1):
        images.draw_text(made, line, x=_GAP, y=height + number * step, height=text)
    return made


def sheet_of(tiles: Sequence[Captioned], *, cell: int = _CELL) -> Image:
    """Returns pictures side by side, each shrunk or enlarged to a cell, its lines cut to the cell's width."""
    columns = max(1, math.ceil(math.sqrt(len(tiles))))
    rows = max(1, math.ceil(len(tiles) / columns))
    step = _TEXT + _GAP
    deepest = max((len(tile.lines) for tile in tiles), default=0)
    high, wide = cell + deepest * step + 2 * _GAP, cell + _GAP
    sheet = np.full((rows * high + _GAP, columns * wide + _GAP, 3), 255, np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * high + _GAP, place % columns * wide + _GAP
        picture = _fitted(_in_colour(tile.image), cell)
        height, width = picture.shape[:2]
        y, x = top + (cell - height) // 2, left + (cell - width) // 2
        sheet[y : y + height, x : x + width] = picture
        for number, line in enumerate(tile.lines, 1):
            shown = _cut(line, cell)
            images.draw_text(sheet, shown, x=left, y=top + cell + number * step, height=_TEXT)
    return sheet


def _in_colour(image: Image) -> Image:
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def _enlarged(image: Image) -> Image:
    """Returns a picture at a size at which something is seen."""
    factor = math.ceil(_SMALLEST / max(image.shape[:2]))
    if factor <= 1:
        return image
    height, width = image.shape[:2]
    return images.resize(image, height * factor, width * factor, "NEAREST")


def _fitted(image: Image, cell: int) -> Image:
    scale = cell / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return images.resize(image, height, width, "AREA" if scale < 1 else "NEAREST")


def _cut(line: str, width: int) -> str:
    """Returns as much of a line as is so wide, with dots where something is missing."""
    if images.text_width(line, height=_TEXT) <= width:
        return line
    while line and images.text_width(f"{line}..", height=_TEXT) > width:
        line = line[:-1]
    return f"{line}.."
