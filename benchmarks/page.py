"""The page of results: for each part a table of comparisons, each with the goal it is held to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.support.native import NativeCaffe


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to measure.

    Attributes:
        repeats: Measurements of each thing.
        is_quick: Makes everything small, only to see that it runs.
        caffe: The real Caffe, or None where it is not set up.
        scratch: A folder on a disk.
        jpegs: A folder of JPEGs for part `feed`; None: made ones.
    """

    repeats: int
    is_quick: bool
    caffe: NativeCaffe | None
    scratch: Path
    jpegs: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a ratio or a figure must reach."""

    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        """Returns it as a table shows it."""
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"

    def is_met(self, value: float) -> bool:
        """Whether the value is as good as it must be."""
        is_enough = self.at_least is None or value >= self.at_least
        return is_enough and (self.at_most is None or value <= self.at_most)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison.

    Attributes:
        what: What was measured.
        ours: Our figure.
        peer: Who is on the other side; empty if nobody.
        theirs: Their figure.
        value: What the goal is about: mostly how many times as good ours is; None if nothing is compared.
        goal: What it must reach, if anything.
    """

    what: str
    ours: str
    peer: str = ""
    theirs: str = ""
    value: float | None = None
    goal: Goal | None = None

    def cells(self) -> list[str]:
        """Returns the row of the table."""
        value = "" if self.value is None else f"{self.value:.3g}"
        verdict = ""
        if self.goal is not None and self.value is not None:
            verdict = f"{self.goal}: {'met' if self.goal.is_met(self.value) else '**missed**'}"
        return [self.what, self.ours, self.peer, self.theirs, value, verdict]


@dataclass(frozen=True, kw_only=True)
class Section:
    """What a part has measured; `notes` say how to read it."""

    title: str
    value_is: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Returns heading, table and notes."""
        lines = [f"## {self.title}", ""]
        if self.rows:
            header = ["what", "caffeflow", "against", "theirs", self.value_is, "goal"]
            lines += [_line(header), _line(["---"] * len(header))]
            lines += [_line(row.cells()) for row in self.rows]
            lines.append("")
        lines += [f"* {note}" for note in self.notes]
        return "\n".join(lines).rstrip() + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
