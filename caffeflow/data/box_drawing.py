"""Boxes drawn into a picture: each label has a colour of its own, and its name stands above the box."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from caffeflow import images
from caffeflow.images import Image

Colour: TypeAlias = tuple[int, int, int]

_TURN: Final = 0.618034  # of the circle of hues, from label to label: neighbours differ most
# In a picture whose shorter side is up to _PLAIN; in larger ones they grow along.
_LINE: Final = 2
_TEXT: Final = 8  # height of a capital letter
_PAD: Final = 2
_PLAIN: Final = 480


@dataclass(frozen=True, slots=True)
class NamedCorners:
    """A box to draw: xmin, ymin, xmax, ymax as fractions, the label for its colour, and what to write."""

    corners: NDArray[np.float32]
    label: int
    text: str


@dataclass(frozen=True, slots=True)
class _Pen:
    """Sizes in pixels, larger in larger pictures, so that names can be read there too."""

    line: int
    text: int
    pad: int

    @classmethod
    def of(cls, image: Image) -> _Pen:
        factor = max(1.0, min(image.shape[:2]) / _PLAIN)
        return cls(round(_LINE * factor), round(_TEXT * factor), round(_PAD * factor))


def draw_boxes(image: Image, boxes: Sequence[NamedCorners]) -> None:
    """Draws boxes into a picture (H, W, 3), and then their texts; what lies outside is not seen."""
    pen = _Pen.of(image)
    edges = [_draw_edges(image, box, pen.line) for box in boxes]
    for box, (left, top) in zip(boxes, edges, strict=True):
        _draw_tag(image, box, pen, x=left, bottom=top)


def colour_of(label: int) -> Colour:
    """Returns a light colour for a label, blue, green and red: black text can be read on it."""
    red, green, blue = colorsys.hsv_to_rgb(label * _TURN % 1, 0.6, 1.0)
    return round(255 * blue), round(255 * green), round(255 * red)


def _draw_edges(image: Image, box: NamedCorners, line: int) -> tuple[int, int]:
    """Draws the four edges, and returns where the upper left corner is, on the picture."""
    height, width = image.shape[:2]
    scaled = np.nan_to_num(box.corners) * (width, height, width, height)
    clipped = np.clip(scaled, -line, (width, height, width, height))
    left, top, right, bottom = np.rint(clipped).astype(int).tolist()
    colour = colour_of(box.label)
    for rows, columns in (
        ((top, top + line), (left, right)),
        ((bottom - line, bottom), (left, right)),
        ((top, bottom), (left, left + line)),
        ((top, bottom), (right - line, right)),
    ):
        image[max(rows[0], 0) : max(rows[1], 0), max(columns[0], 0) : max(columns[1], 0)] = colour
    return max(left, 0), max(top, 0)


def _draw_tag(image: Image, box: NamedCorners, pen: _Pen, *, x: int, bottom: int) -> None:
    """Draws text on a ground of the box's colour that ends at `bottom`, moved to where it is seen whole."""
    height, width = image.shape[:2]
    wide, high = images.text_width(box.text, height=pen.text) + 2 * pen.pad, pen.text + 2 * pen.pad
    x, y = max(0, min(x, width - wide)), max(0, min(bottom - high, height - high))
    image[y : y + high, x : x + wide] = colour_of(box.label)
    images.draw_text(image, box.text, x=x + pen.pad, y=y + pen.pad + pen.text, height=pen.text)
