"""Boxes as annotations give them: in pixels of the annotated image, each with its label.

What Caffe stores are fractions of the image's width and height; `placed_boxes.py` divides.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box around one object: pixels, x to the right, y down, of the annotated image."""

    label: int
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    is_difficult: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """All boxes of one image, in the order of the source.

    Attributes:
        boxes: Maybe none.
        height: Of the image that was annotated; 0 where the source does not say: the image's own.
        width: The same.
        file: The image's own annotation file, as a list names it beside the image; empty where one file
            is about all images.
        image_id: What results are to call the image; empty for its name without folder and extension.
    """

    boxes: tuple[Box, ...]
    height: int = 0
    width: int = 0
    file: str = ""
    image_id: str = ""

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width, if the source says both."""
        return (self.height, self.width) if self.height > 0 and self.width > 0 else None
