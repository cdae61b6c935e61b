"""A contact sheet: records side by side, as a reader sees them, with their labels below or boxes within."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np

from caffeflow import images
from caffeflow.data.box_drawing import NamedCorners, draw_boxes
from caffeflow.data.records import Records, Seen
from caffeflow.images import Image

CELL: Final = 96  # a picture's longer side
BOXED_CELL: Final = 320  # of one with boxes, so that they and their names can be told apart

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
    cell = CELL if all(record.boxes is None for record in seen) else BOXED_CELL
    high, wide = cell + _LINE + _GAP, cell + _GAP
    sheet = np.full((rows * high + _GAP, columns * wide + _GAP, 3), 255, np.uint8)
    for place, record in enumerate(seen):
        top, left = place // columns * high + _GAP, place % columns * wide + _GAP
        picture = _thumbnail(record, cell)
        _draw_boxes(picture, record, class_names)
        height, width = picture.shape[:2]
        y, x = top + (cell - height) // 2, left + (cell - width) // 2
        sheet[y : y + height, x : x + width] = picture
        text = _caption(record, class_names)
        images.draw_text(sheet, text, x=left, y=top + cell + _TEXT + 3, height=_TEXT)
    return sheet


def _thumbnail(record: Seen, cell: int) -> Image:
    """Returns the record in colour, with its longer side at `cell`."""
    planes = np.clip(record.planes, 0, 255).astype(np.uint8)
    colour = planes[[0, 0, 0]] if len(planes) == 1 else planes[:3]  # an alpha plane is not shown
    image = np.ascontiguousarray(colour.transpose(1, 2, 0))
    scale = cell / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return images.resize_squash(image, height, width)


def _draw_boxes(picture: Image, record: Seen, class_names: Sequence[str]) -> None:
    """Draws the boxes with their names, a star behind the name of a difficult one."""
    if record.boxes is None:
        return
    labels = record.boxes[:, 0].astype(int).tolist()
    names = [class_names[label] if 0 <= label < len(class_names) else str(label) for label in labels]
    draw_boxes(
        picture,
        [
            NamedCorners(row[2:6], label, f"{name}*" if row[6] else name)
            for row, label, name in zip(record.boxes, labels, names, strict=True)
        ],
    )


def _caption(record: Seen, class_names: Sequence[str]) -> str:
    if record.boxes is not None:
        return "1 box" if len(record.boxes) == 1 else f"{len(record.boxes)} boxes"
    label = record.label
    text = f"{label} {class_names[label]}" if 0 <= label < len(class_names) else str(label)
    return text if len(text) <= _LETTERS else text[: _LETTERS - 1] + "."
