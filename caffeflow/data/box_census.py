"""Counts of the boxes in stored records, and what is wrong with them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from caffeflow.data.placed_boxes import OUTSIDE, box_faults, box_sides
from caffeflow.data.readers.annotated import Boxes

_CORNERS: Final = slice(2, 6)


@dataclass(kw_only=True)
class BoxCensus:
    """The boxes of an LMDB of AnnotatedDatums, counted.

    Attributes:
        count: All of them.
        records: Records that have boxes, or may have: those of a label alone are not among them.
        empty: Of these, records without a box.
        difficult: Boxes that are marked so.
        faults: Boxes of each fault.
        wrong: Sentences about boxes that no training takes.
        smallest: Side of the smallest box, see `box_sides`; infinite without any.
        largest: The same of the largest; 0 without any.
    """

    count: int = 0
    records: int = 0
    empty: int = 0
    difficult: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    smallest: float = math.inf
    largest: float = 0.0

    def add(self, name: str, boxes: Boxes) -> None:
        """Counts the boxes of a record."""
        self.records += 1
        if len(boxes) == 0:
            self.empty += 1
            return
        self.count += len(boxes)
        self.difficult += int(np.count_nonzero(boxes[:, 6]))
        corners = boxes[:, _CORNERS]
        for row, fault in zip(boxes, box_faults(corners), strict=True):
            if fault is not None:
                self.faults[fault] += 1
            if fault not in (None, OUTSIDE):
                shown = ", ".join(f"{value:g}" for value in row[_CORNERS])
                self.wrong.append(f"{name}: box of label {row[0]:g} at {shown}: {fault}")
        sides = box_sides(corners)
        self.smallest = min(self.smallest, float(sides.min()))
        self.largest = max(self.largest, float(sides.max()))

    @property
    def outside(self) -> int:
        """How many reach outside their image."""
        return self.faults[OUTSIDE]

    @property
    def sides(self) -> tuple[float, float] | None:
        """Sides of the smallest and the largest box, or None without any."""
        return (self.smallest, self.largest) if self.count else None
