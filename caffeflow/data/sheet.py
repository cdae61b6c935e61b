"""A contact sheet: records side by side, as a reader sees them, with their labels below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np

from caffeflow import images
from caffeflow.data.records import Records, Seen
from caffeflow.images import Image

CELL: Final = 96  # a picture's longer side

_GAP: Final = 6
_TEXT: Final = 9  # height of a capital letter
_LINE: Final = _TEXT + _GAP
_LETTERS: Final = 13  # that fit below a picture


def contact_sheet(records: Records, *, count: int, class_names: Sequence[str]) -> Image:
    """Returns a picture of up to `count` records, spread evenly over all.

    Raises:
        DataError: One of them cannot be decoded.
    """
    step = max(1, records.count // count)
    seen = [records.read(stored) for stored in islice(records.once(step=step), count)]
    columns = math.ceil(math.sqrt(len(seen)))
    rows = math.ceil(len(seen) / columns)
    high, wide = CELL + _LINE + _GAP, CELL + _GAP
    sheet = np.full((rows * high + _GAP, columns * wide + _GAP, 3), 255, np.uint8)
    for place, record in enumerate(seen):
        top, left = place // columns * high + _GAP, place % columns * wide + _GAP
        picture = _thumbnail(record)
        height, width = picture.shape[:2]
        y, x = top + (CELL - height) // 2, left + (CELL - width) // 2
        sheet[y : y + height, x : x + width] = picture
        text = _caption(record.label, class_names)
        images.draw_text(sheet, text, x=left, y=top + CELL + _TEXT + 3, height=_TEXT)
    return sheet


def _thumbnail(record: Seen) -> Image:
    """Returns the record in colour, with its longer side at `CELL`."""
    planes = np.clip(record.planes, 0, 255).astype(np.uint8)
    colour = planes[[0, 0, 0]] if len(planes) == 1 else planes[:3]  # an alpha plane is not shown
    image = np.ascontiguousarray(colour.transpose(1, 2, 0))
    scale = CELL / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return images.resize_squash(image, height, width)


def _caption(label: int, class_names: Sequence[str]) -> str:
    text = f"{label} {class_names[label]}" if 0 <= label < len(class_names) else str(label)
    return text if len(text) <= _LETTERS else text[: _LETTERS - 1] + "."
