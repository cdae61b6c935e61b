"""Boxes as annotations give them: in pixels of the annotated image, each with its label.

What Caffe stores are fractions of the image's width and height; `normalized` divides as SSD's
`ReadXMLToAnnotatedDatum` does (util/io.cpp): as they are, without taking one off and without clipping.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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


def normalized(annotation: Annotation, *, size: tuple[int, int]) -> NDArray[np.float32]:
    """Returns xmin, ymin, xmax, ymax of each box, (B, 4), as fractions in single precision.

    Args:
        annotation: The boxes; the size that it names is what they are fractions of.
        size: Height and width of the image, for an annotation that names none.
    """
    height, width = annotation.size or size
    rows = [(box.xmin, box.ymin, box.xmax, box.ymax) for box in annotation.boxes]
    sides: NDArray[np.float32] = np.array([width, height, width, height], np.float32)
    with np.errstate(over="ignore"):  # a number beyond single precision becomes infinite, and is seen then
        corners: NDArray[np.float32] = np.array(rows, np.float32).reshape(-1, 4)
        return np.divide(corners, sides)
