"""Runs side by side: what each net costs, what it reached, and what others have published for it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from caffeflow.report.summary import giga, millions
from caffeflow.report.tables import table

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One run. What is not known is None, or an empty text.

    Attributes:
        resize: The size of the records, `256x256`, before cropping.
        crop: The size that the net sees.
        macs: Multiply-accumulates of one image.
        top1: Share of the test images that are right.
        mean_ap: Mean average precision, of nets that find boxes.
        measured: Where these are from: `test` (each image once) or `train` (the last test pass of the
            training).
        published_top1: In percent, with what follows, from the net's recipe.
    """

    run: str
    state: str
    net: str
    data: str
    resize: str
    crop: str
    iterations: int
    macs: int | None
    parameters: int | None
    top1: float | None
    top5: float | None
    mean_ap: float | None
    measured: str
    published_top1: float | None
    published_top5: float | None
    published_data: str
    published_source: str


def to_json(lines: Sequence[RunLine]) -> list[dict[str, Any]]:
    """Returns the runs as plain values."""
    return [asdict(line) for line in lines]


def to_csv(lines: Sequence[RunLine]) -> str:
    """Returns the runs as comma-separated text with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(RunLine)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(line) for line in lines)
    return text.getvalue().rstrip("\n")


def results_table(lines: Sequence[RunLine]) -> Table:
    """Returns the runs as a table for people."""
    return table(
        (
            "run", "net", "data", "resize", "crop", ">MACs", ">parameters", ">iterations",
            ">top-1", ">top-5", ">mAP", "measured", ">published", "on, source",
        ),
        [
            (
                line.run if line.state == "finished" else f"{line.run} ({line.state})",
                line.net, line.data, line.resize, line.crop,
                giga(line.macs) if line.macs is not None else "",
                millions(line.parameters) if line.parameters is not None else "",
                str(line.iterations), _percent(line.top1), _percent(line.top5), _percent(line.mean_ap),
                line.measured, _published(line),
                "; ".join(filter(None, (line.published_data, line.published_source))),
            )
            for line in lines
        ],
    )  # fmt: skip


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}"


def _published(line: RunLine) -> str:
    return " / ".join(
        f"{value:g}" for value in (line.published_top1, line.published_top5) if value is not None
    )
