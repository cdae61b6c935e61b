"""The boxes of one record on their way through SSD's transformations, and the rules that drop some.

Boxes are dropped when a step cuts the picture: at the expansion, at the sampled crop and at the end. A box
stays if it meets the emit constraint and the new frame shows some of it (`boxes.projected`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.engine.feed.boxes import Areas, Boxes, Flags, areas, coverages, projected, shared_areas
from caffeflow.layers.data import BOX_COLUMNS
from caffeflow.proto.caffe_pb2 import EmitConstraint, TransformationParameter

Rows = NDArray[np.float32]

_CORNERS: Final = slice(2, 6)


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """What is annotated in one picture.

    Attributes:
        rows: (B, 7): label, instance, xmin, ymin, xmax, ymax, difficult; ordered by group.
        is_cut: They come from a cut picture.
        kept_areas: (B,) the areas that they had then, if they were moved since; None: as measured.
    """

    rows: Rows
    is_cut: bool = False
    kept_areas: Areas | None = None

    @property
    def boxes(self) -> Boxes:
        """The corners, (B, 4)."""
        return self.rows[:, _CORNERS]

    @property
    def areas(self) -> Areas:
        """The area of each box, (B,), as SSD takes it for constraints."""
        return areas(self.boxes) if self.kept_areas is None else self.kept_areas

    def moved(self, boxes: Boxes) -> GroundTruth:
        """Returns the same at other places."""
        rows = self.rows.copy()
        rows[:, _CORNERS] = boxes
        # Caffe: what clips a box notes its area, and nothing that moves it notes the new one (bbox_util.cpp).
        return GroundTruth(rows, self.is_cut, self.areas if self.is_cut else None)

    def within(self, frame: Boxes, emit: EmitRule | None) -> GroundTruth:
        """Returns what a frame shows, as fractions of it.

        Args:
            frame: (4,) in fractions of the picture so far; may be larger than it.
            emit: Which boxes the net asks for; None: all.
        """
        if not len(self.rows):
            return self
        placed, is_kept = projected(self.boxes, frame)
        if emit is not None:
            is_kept &= emit.keeps(self, frame)
        rows = self.rows[is_kept]
        rows[:, _CORNERS] = placed[is_kept]
        return GroundTruth(rows, is_cut=True)


@dataclass(frozen=True, kw_only=True)
class EmitRule:
    """`emit_constraint`: which boxes of a cut picture count.

    Attributes:
        least_coverage: More of a box than this must be inside; None: its centre.
    """

    least_coverage: np.float32 | None

    @classmethod
    def find(cls, param: TransformationParameter) -> EmitRule | None:
        """Reads the constraint; None if there is none."""
        if not param.HasField("emit_constraint"):
            return None
        emit = param.emit_constraint
        is_by_coverage = emit.emit_type == EmitConstraint.MIN_OVERLAP
        return cls(least_coverage=np.float32(emit.emit_overlap) if is_by_coverage else None)

    def keeps(self, truth: GroundTruth, frame: Boxes) -> Flags:
        """Returns whether each box counts."""
        boxes = truth.boxes
        if self.least_coverage is None:
            centres = (boxes[:, :2] + boxes[:, 2:]) / 2
            return np.asarray(((centres >= frame[:2]) & (centres <= frame[2:])).all(axis=1))
        covered = coverages(shared_areas(boxes, frame), truth.areas)
        return np.asarray(covered > self.least_coverage)


def mirrored(truth: GroundTruth) -> GroundTruth:
    """Returns the boxes of the mirrored picture."""
    boxes = truth.boxes.copy()
    boxes[:, [0, 2]] = 1 - boxes[:, [2, 0]]
    return truth.moved(boxes)


def gathered(items: Sequence[Rows]) -> Rows:
    """Returns the second top of a batch, (1, 1, N, 8): the rows of each item behind its number.

    A batch without a box has one row of -1.
    """
    counts = [len(rows) for rows in items]
    if not sum(counts):
        return np.full((1, 1, 1, BOX_COLUMNS), -1, np.float32)
    out = np.empty((1, 1, sum(counts), BOX_COLUMNS), np.float32)
    out[0, 0, :, 0] = np.repeat(np.arange(len(items)), counts)
    np.concatenate(items, out=out[0, 0, :, 1:])
    return out
