"""Annotations that stay small: COCO's 860,000 boxes take 40 MB here, and five times that as objects."""

from __future__ import annotations

from array import array
from typing import Final

from caffeflow.data.boxes import Annotation, Box

_CORNERS: Final = 4


class PackedAnnotations:
    """A list of annotations that can only grow; an `Annotation` is made when it is asked for."""

    def __init__(self) -> None:
        self._ends = array("Q")  # of each image's boxes
        self._labels = array("q")
        self._corners = array("d")
        self._difficult = array("b")
        self._sizes = array("q")
        self._texts = bytearray()  # of each image: file, line break, image
        self._text_ends = array("Q")

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> Annotation:
        """Makes the annotation of this number, which counts from 0."""
        first = self._ends[index - 1] if index else 0
        begin = self._text_ends[index - 1] if index else 0
        text = self._texts[begin : self._text_ends[index]].decode(errors="surrogateescape")
        file, _, image_id = text.partition("\n")
        return Annotation(
            boxes=tuple(self._box(place) for place in range(first, self._ends[index])),
            height=self._sizes[2 * index],
            width=self._sizes[2 * index + 1],
            file=file,
            image_id=image_id,
        )

    def append(self, annotation: Annotation) -> None:
        """Packs an annotation."""
        for box in annotation.boxes:
            self._labels.append(box.label)
            self._corners.extend((box.xmin, box.ymin, box.xmax, box.ymax))
            self._difficult.append(box.is_difficult)
        self._ends.append(len(self._labels))
        self._sizes.extend((annotation.height, annotation.width))
        text = f"{annotation.file}\n{annotation.image_id}"
        self._texts += text.encode(errors="surrogateescape")
        self._text_ends.append(len(self._texts))

    def _box(self, place: int) -> Box:
        at = place * _CORNERS
        xmin, ymin, xmax, ymax = self._corners[at : at + _CORNERS]
        return Box(
            label=self._labels[place], xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax,
            is_difficult=bool(self._difficult[place]),
        )  # fmt: skip
