"""What has been counted of a split so far, in a form that the journal holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TypeVar

from caffeflow.data import digest
from caffeflow.data.convert import Converted, Rejected
from caffeflow.data.placed_boxes import BOXES_OUTSIDE, PlacedBoxes, box_sides

T = TypeVar("T", int, str)


@dataclass(kw_only=True)
class Tally:
    """Counts over the first `done` jobs of a split.

    Attributes:
        done: Jobs dealt with, rejects included.
        count: Records written.
        boxes: In them; 0 without annotations.
        chain: The digest of these records, see `digest.py`.
        shape: (C, H, W) of the records, None where they differ; empty before the first.
        labels: Records of each label; with boxes, boxes of each label.
        sides: Of the smallest and the largest box, see `box_sides`; empty before the first.
        rejected: Images left out, by reason.
        rejected_boxes: Boxes left out of images that stayed, by reason.
        unusual: What was taken although odd, images and boxes, by kind.
    """

    done: int = 0
    count: int = 0
    boxes: int = 0
    chain: bytes = digest.CHAIN_START
    shape: tuple[int | None, ...] = ()
    labels: Counter[int] = field(default_factory=Counter)
    sides: tuple[float, ...] = ()
    rejected: Counter[str] = field(default_factory=Counter)
    rejected_boxes: Counter[str] = field(default_factory=Counter)
    unusual: Counter[str] = field(default_factory=Counter)

    @property
    def is_uniform(self) -> bool:
        """Whether all records so far have one shape."""
        return None not in self.shape

    def add(self, record: Converted) -> None:
        """Counts a record."""
        self.done += 1
        self.count += 1
        self.chain = digest.extend(self.chain, record.digest)
        self.shape = common_shape(self.shape, record.shape)
        self.unusual.update(record.unusual)
        if record.boxes is None:
            self.labels[record.label] += 1
        else:
            self._add_boxes(record.boxes)

    def reject(self, rejected: Rejected) -> None:
        """Counts an image that was left out."""
        self.done += 1
        self.rejected[rejected.reason] += 1

    def _add_boxes(self, boxes: PlacedBoxes) -> None:
        self.boxes += len(boxes.labels)
        self.labels.update(boxes.labels)
        if boxes.labels:
            found = box_sides(boxes.corners).tolist()
            self.sides = (min((*self.sides, *found)), max((*self.sides, *found)))
        for fault in boxes.faults:
            if fault.is_dropped:
                self.rejected_boxes[fault.reason] += 1
            else:
                self.unusual[BOXES_OUTSIDE] += 1

    def to_json(self) -> dict[str, Any]:
        """Returns the tally as JSON has it."""
        return {
            "done": self.done,
            "count": self.count,
            "boxes": self.boxes,
            "chain": self.chain.hex(),
            "shape": list(self.shape),
            "labels": ordered(self.labels),
            "sides": list(self.sides),
            "rejected": ordered(self.rejected),
            "rejected_boxes": ordered(self.rejected_boxes),
            "unusual": ordered(self.unusual),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Tally:
        """Returns the tally that `to_json` wrote."""
        return cls(
            done=fields["done"],
            count=fields["count"],
            boxes=fields["boxes"],
            chain=bytes.fromhex(fields["chain"]),
            shape=tuple(fields["shape"]),
            labels=Counter({int(label): count for label, count in fields["labels"].items()}),
            sides=tuple(fields["sides"]),
            rejected=Counter(fields["rejected"]),
            rejected_boxes=Counter(fields["rejected_boxes"]),
            unusual=Counter(fields["unusual"]),
        )


def common_shape(left: tuple[int | None, ...], right: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Returns the shape that both have, with None where they differ; an empty one agrees with all."""
    if left == right or not right:
        return left
    if not left:
        return right
    return tuple(a if a == b else None for a, b in zip(left, right, strict=True))


def ordered(counts: Counter[T]) -> dict[T, int]:
    """Returns the counts by key, so that they are written in one order always."""
    return dict(sorted(counts.items()))
