"""Curves out of tables: which columns of a log or of metrics.csv are drawn, and as what.

The one rule to know: a column's kind is told by its name (`loss` anywhere in it is a loss, `acc`,
`top` or `eval` a score, `class3` the score of one class), since a table says nothing more about it.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from caffeflow.errors import DataError
from caffeflow.report.log import Row, Run

Kind = Literal["loss", "score", "class", "rate", "other"]

_LOSS_WORDS: Final = ("loss", "entropy", "cost")
_SCORE_WORDS: Final = ("acc", "top", "eval", "prec", "recall", "map", "iou")
_ONE_CLASS: Final = re.compile(r"(?:\S+ )?class\d+$")  # of a test of detections
SMOOTHED: Final = "loss"  # the column of the train loss that solvers average over `average_loss` iterations


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line of a plot; points without a value are left out, nan and inf are kept."""

    name: str
    kind: Kind
    is_test: bool
    iterations: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def shown_name(self) -> str:
        """The name in a legend; the column of the smoothed train loss is called just `loss`."""
        return f"train {self.name}" if self.name == SMOOTHED else self.name


@dataclass(frozen=True, kw_only=True)
class Curves:
    """What one training is drawn from."""

    label: str
    series: tuple[Series, ...]
    seconds: float  # how long it ran; nan if unknown

    def of(self, kind: Kind, *, is_test: bool | None = None) -> list[Series]:
        """Returns the series of a kind, in the order of the columns."""
        return [s for s in self.series if s.kind == kind and is_test in (None, s.is_test)]

    def losses(self) -> list[Series]:
        """Returns the losses worth a line each.

        A single loss output of the train net shows the same as the smoothed loss, from one batch, so
        it is left out; of several (nets with side classifiers) all are wanted.
        """
        train, test = self.of("loss", is_test=False), self.of("loss", is_test=True)
        total = [series for series in train if series.name == SMOOTHED]
        return [*(total if len(train) == 2 and total else train), *test]

    def first_bad(self) -> int | None:
        """Returns the first iteration at which a loss is nan or infinite."""
        bad = [
            iteration
            for series in self.of("loss")
            for iteration, value in zip(series.iterations, series.values, strict=True)
            if not math.isfinite(value)
        ]
        return min(bad, default=None)


def curves_of_run(run: Run, *, label: str) -> Curves:
    """Returns the curves of a run that was read from a log."""
    table = _Table()
    for row in run.train:
        table.add("lr", row.iteration, row.lr, is_test=False)
        table.add(SMOOTHED, row.iteration, row.loss, is_test=False, keep_nan=True)
        for name, value in row.outputs.items():
            table.add(_train_name(name), row.iteration, value, is_test=False, keep_nan=True)
    for row in run.test:
        for name, value in row.outputs.items():
            table.add(_test_name(name, row), row.iteration, value, is_test=True, keep_nan=True)
    seconds = [row.seconds for row in (*run.train, *run.test)]
    return table.curves(label, max(seconds, default=math.nan))


def read_metrics(path: Path, *, label: str | None = None) -> Curves:
    """Returns the curves in a CSV table whose first column is `iteration`.

    Columns called `seconds`, `lr` and `loss` (smoothed) are known; others are outputs, those of a
    test net begin with `test`. Empty cells are passed over.

    Raises:
        DataError: The file is missing or is no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except OSError as error:
        raise DataError(f"{path}: cannot read this table: {error.strerror}") from error
    if not rows or "iteration" not in rows[0]:
        raise DataError(f"{path}: is no table of metrics; expected rows under a column 'iteration'")
    try:
        return curves_of_table(rows, label=label or path.parent.name or path.stem)
    except ValueError as error:
        raise DataError(f"{path}: a cell is no number: {error}") from error


def curves_of_table(rows: Sequence[Mapping[str, str | float]], *, label: str) -> Curves:
    """Returns the curves of rows as they stand in metrics.csv; cells may be text or numbers."""
    table = _Table()
    seconds = math.nan
    for row in rows:
        iteration = int(float(row["iteration"]))
        for name, cell in row.items():
            if name == "iteration" or cell in ("", None):
                continue
            if name == "seconds":
                seconds = float(cell)
            else:
                table.add(
                    name, iteration, float(cell), is_test=name.startswith("test"), keep_nan=name != "lr"
                )
    return table.curves(label, seconds)


def smooth(values: Sequence[float], *, window: int) -> list[float]:
    """Returns the running mean over a centred window; nan and inf count as missing."""
    half = window // 2
    smoothed = []
    for place in range(len(values)):
        near = [v for v in values[max(0, place - half) : place + half + 1] if math.isfinite(v)]
        smoothed.append(math.fsum(near) / len(near) if near else math.nan)
    return smoothed


def kind_of(name: str) -> Kind:
    """Returns what a column shows, told by its name."""
    word = name.lower()
    if word == "lr":
        return "rate"
    if _ONE_CLASS.match(word):
        return "class"
    if any(part in word for part in _LOSS_WORDS):
        return "loss"
    return "score" if any(part in word for part in _SCORE_WORDS) else "other"


class _Table:
    """Columns as they fill up."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[bool, list[int], list[float]]] = {}

    def add(self, name: str, iteration: int, value: float, *, is_test: bool, keep_nan: bool = False) -> None:
        if math.isnan(value) and not keep_nan:
            return
        _, iterations, values = self._columns.setdefault(name, (is_test, [], []))
        iterations.append(iteration)
        values.append(value)

    def curves(self, label: str, seconds: float) -> Curves:
        series = tuple(
            Series(
                name=name, kind=kind_of(name), is_test=is_test, iterations=tuple(iterations),
                values=tuple(values),
            )
            for name, (is_test, iterations, values) in self._columns.items()
        )  # fmt: skip
        return Curves(label=label, series=_without_hollow_scores(series), seconds=seconds)


def _without_hollow_scores(series: tuple[Series, ...]) -> tuple[Series, ...]:
    """Leaves out the scores of test passes whose loss is nan.

    Caffe's Accuracy takes a score that is nan for right, so an untrained net with BatchNorm, or one
    that diverged, is shown at 100 %.
    """
    hollow = {
        (_net_of(one.name), iteration)
        for one in series
        if one.is_test and one.kind == "loss"
        for iteration, value in zip(one.iterations, one.values, strict=True)
        if math.isnan(value)
    }
    return tuple(_without(one, hollow) if one.is_test and one.kind == "score" else one for one in series)


def _without(series: Series, hollow: set[tuple[str, int]]) -> Series:
    kept = [
        (iteration, value)
        for iteration, value in zip(series.iterations, series.values, strict=True)
        if (_net_of(series.name), iteration) not in hollow
    ]
    return replace(
        series,
        iterations=tuple(iteration for iteration, _ in kept),
        values=tuple(value for _, value in kept),
    )


def _net_of(column: str) -> str:
    return column.partition(" ")[0]


def _train_name(output: str) -> str:
    return f"train {output}"


def _test_name(output: str, row: Row) -> str:
    return f"test {output}" if not row.test_net else f"test{row.test_net} {output}"
