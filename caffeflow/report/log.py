"""The course of a training, read from the log of any Caffe or of caffeflow.

The one rule to know: nothing that the log shows is dropped. Rows with nan or inf stay, so do several
runs in one file (a restart, a resume), several test nets and every output; `join` is what turns a
run and the runs that resumed it into one course.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from caffeflow.errors import DataError
from caffeflow.report.log_lines import (
    ClassScore,
    Ended,
    Event,
    Finetuning,
    LearningRate,
    Loss,
    Output,
    Prefix,
    Resuming,
    Snapshotting,
    Solving,
    Status,
    Testing,
    TestLoss,
    read_message,
    split_prefix,
)

_LEAP_YEAR = 2000  # for logs that name no year: any day of theirs exists in it


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was logged at one iteration for the train net, or for one test net."""

    iteration: int
    seconds: float  # since the line "Solving ..."; nan for a log without times
    lr: float  # nan if the log shows none
    loss: float  # train: the smoothed loss; test: "Test loss", usually nan
    # In the log's order: `name[k]` when a blob has several elements, `class3` for a class of detections.
    outputs: Mapping[str, float]
    test_net: int | None  # None for the train net


@dataclass(frozen=True, kw_only=True)
class Run:
    """One start of the solver, to its end or to the end of the log."""

    net: str
    started: datetime | None  # its year is made up when the log has none
    resumed_from: str | None  # empty when it resumes and the log does not say from what
    weights: str | None
    train: tuple[Row, ...]
    test: tuple[Row, ...]  # of all test nets
    statuses: tuple[Status, ...]  # steps of the learning rate as the policy reports them
    snapshots: tuple[str, ...]  # weights only
    ended: str  # "done", "stopped", or "" when the log does not say
    error: str | None  # the fatal line that ended it

    def test_of(self, test_net: int) -> tuple[Row, ...]:
        """Returns the rows of one test net."""
        return tuple(row for row in self.test if row.test_net == test_net)

    def test_nets(self) -> list[int]:
        """Returns the numbers of the test nets that the log shows."""
        return sorted({row.test_net for row in self.test if row.test_net is not None})


def read_log(path: Path) -> list[Run]:
    """Returns the runs in a log file, in order.

    Raises:
        DataError: The file is missing, or holds no line of a Caffe training.
    """
    reader = LogReader()
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                reader.feed(line)
    except OSError as error:
        raise DataError(f"{path}: cannot read this log: {error.strerror}") from error
    runs = reader.finish()
    if not runs and reader.fatal is not None:
        raise DataError(f"{path}: the program ended before the training began: {reader.fatal}")
    if not runs:
        raise DataError(
            f"{path}: no training in this file; expected lines such as 'Solving <net>' or "
            "'Iteration 100, loss = 0.5', as `caffe train` and `caffeflow train` write to stderr"
        )
    return runs


def parse_log(lines: Iterable[str]) -> list[Run]:
    """Returns the runs in the lines of a log, in order."""
    reader = LogReader()
    for line in lines:
        reader.feed(line)
    return reader.finish()


def join(runs: Sequence[Run]) -> list[Run]:
    """Returns one run for each course: a resumed run goes on where the one before it was left.

    Rows that the earlier run had beyond the snapshot are replaced by those of the later one, and
    seconds count on from the first start, pauses included. A fresh start begins a new course.
    """
    courses: list[Run] = []
    for run in runs:
        if courses and run.resumed_from is not None:
            courses[-1] = _continue(courses[-1], run)
        else:
            courses.append(run)
    return courses


def _continue(earlier: Run, later: Run) -> Run:
    first = min((row.iteration for row in (*later.train, *later.test)), default=None)
    pause_s = (
        (later.started - earlier.started).total_seconds() if later.started and earlier.started else math.nan
    )

    def rows(before: tuple[Row, ...], after: tuple[Row, ...]) -> tuple[Row, ...]:
        kept = [row for row in before if first is None or row.iteration < first]
        return (*kept, *(replace(row, seconds=row.seconds + pause_s) for row in after))

    return replace(
        earlier,
        train=rows(earlier.train, later.train),
        test=rows(earlier.test, later.test),
        statuses=(*earlier.statuses, *later.statuses),
        snapshots=(*earlier.snapshots, *later.snapshots),
        ended=later.ended,
        error=later.error,
    )


class LogReader:
    """Reads a log line by line, also while it is being written.

    Attributes:
        fatal: The first fatal message since the last start, or None.
    """

    def __init__(self) -> None:
        self.fatal: str | None = None
        self._runs: list[_OpenRun] = []
        self._row: _OpenRow | None = None
        self._clock = _Clock()
        self._resumed_from: str | None = None  # named before the run starts
        self._weights: str | None = None

    def feed(self, line: str) -> Row | None:
        """Takes one line; returns a row if this line shows that the row before it is complete."""
        prefix, message = split_prefix(line.rstrip("\r\n"))
        now = self._clock.read(prefix)
        event = read_message(message)
        if prefix is not None and prefix.level == "F":
            self.fatal = self.fatal or message.strip()
            if self._runs:
                self._runs[-1].error = self.fatal
        return None if event is None else self._take(event, now)

    def finish(self) -> list[Run]:
        """Returns the runs read so far; the last row counts as complete."""
        self._close_row()
        return [run.freeze() for run in self._runs]

    def _take(self, event: Event, now: datetime | None) -> Row | None:
        match event:
            case Output() | ClassScore() | TestLoss() | LearningRate():
                return self._add_to_row(event)
            case Loss(iteration, loss, _):
                return self._open_row(iteration, now, loss=loss, test_net=None)
            case Testing(iteration, test_net):
                return self._open_row(iteration, now, loss=math.nan, test_net=test_net)
            case Solving(net):
                done = self._close_row()
                self._start_run(net, now)
                return done
            case Resuming(path):
                self._resume(path)
            case Finetuning(path):
                self._weights = path
            case _:
                return self._note(event)
        return None

    def _note(self, event: Event) -> Row | None:
        done = self._close_row() if not isinstance(event, Status) else None
        run = self._current_run(None)
        match event:
            case Status():
                run.statuses.append(event)
            case Snapshotting(path, is_state=False):
                run.snapshots.append(path)
            case Ended(how):
                run.ended = how
        return done

    def _add_to_row(self, event: Output | ClassScore | TestLoss | LearningRate) -> Row | None:
        row = self._row
        match event:
            case LearningRate(iteration, lr):
                self._current_run(None).rates[iteration] = lr
                return self._close_row() if row is not None and row.iteration == iteration else None
            case Output(side) if row is not None and (row.test_net is None) == (side == "train"):
                row.outputs.append((event.name, event.value))
            case ClassScore(label, ap) if row is not None and row.test_net is not None:
                row.outputs.append((f"class{label}", ap))
            case TestLoss(value) if row is not None and row.test_net is not None:
                row.loss = value
        return None

    def _open_row(
        self, iteration: int, now: datetime | None, *, loss: float, test_net: int | None
    ) -> Row | None:
        done = self._close_row()
        run = self._current_run(now)
        if test_net is None and run.rows and iteration < run.last_train_iteration:
            run = self._start_run(run.net, now)  # logs glued together without their first lines
        seconds = (now - run.started).total_seconds() if now and run.started else math.nan
        self._row = _OpenRow(iteration=iteration, seconds=seconds, loss=loss, test_net=test_net)
        if test_net is None:
            run.last_train_iteration = iteration
        return done

    def _close_row(self) -> Row | None:
        row, self._row = self._row, None
        if row is None:
            return None
        run = self._runs[-1]
        run.rows.append(row)
        return row.freeze(run.rates)

    def _current_run(self, now: datetime | None) -> _OpenRun:
        return self._runs[-1] if self._runs else self._start_run("", now)

    def _start_run(self, net: str, now: datetime | None) -> _OpenRun:
        run = _OpenRun(net=net, started=now, resumed_from=self._resumed_from, weights=self._weights)
        self._resumed_from = self._weights = self.fatal = None
        self._runs.append(run)
        return run

    def _resume(self, path: str) -> None:
        # Caffe: older trees restore after "Solving", newer ones before it (tools/caffe.cpp).
        run = self._runs[-1] if self._runs else None
        if run is not None and not run.rows and self._row is None and not run.ended:
            run.resumed_from = run.resumed_from or path
        else:
            self._resumed_from = self._resumed_from or path


class _Clock:
    """Gives lines their time; a log that names no year may run past New Year's Eve."""

    def __init__(self) -> None:
        self._year = _LEAP_YEAR
        self._last: datetime | None = None

    def read(self, prefix: Prefix | None) -> datetime | None:
        """Returns the time of a line, or of the last line that had one."""
        if prefix is None:
            return self._last
        try:
            moment = prefix.moment(year=self._year)
            if prefix.year is None and self._last is not None and moment.month < self._last.month:
                self._year += 1
                moment = prefix.moment(year=self._year)
        except ValueError:
            return self._last  # looks like a prefix and is none: a date such as 0231
        self._last = moment
        return moment


@dataclass(kw_only=True)
class _OpenRow:
    iteration: int
    seconds: float
    loss: float
    test_net: int | None
    outputs: list[tuple[str, float]] = field(default_factory=list)

    def freeze(self, rates: Mapping[int, float]) -> Row:
        return Row(
            iteration=self.iteration, seconds=self.seconds, lr=_rate_at(self.iteration, rates),
            loss=self.loss, outputs=_named(self.outputs), test_net=self.test_net,
        )  # fmt: skip


@dataclass(kw_only=True)
class _OpenRun:
    net: str
    started: datetime | None
    resumed_from: str | None
    weights: str | None
    rows: list[_OpenRow] = field(default_factory=list)
    rates: dict[int, float] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    snapshots: list[str] = field(default_factory=list)
    ended: str = ""
    error: str | None = None
    last_train_iteration: int = -1

    def freeze(self) -> Run:
        rows = [row.freeze(self.rates) for row in self.rows]
        return Run(
            net=self.net, started=self.started, resumed_from=self.resumed_from, weights=self.weights,
            train=tuple(row for row in rows if row.test_net is None),
            test=tuple(row for row in rows if row.test_net is not None),
            statuses=tuple(self.statuses), snapshots=tuple(self.snapshots),
            ended=self.ended, error=self.error,
        )  # fmt: skip


def _rate_at(iteration: int, rates: Mapping[int, float]) -> float:
    """Returns the rate logged for the iteration, else the last one before it, else the first."""
    known = list(rates)  # in order, since a run never goes back
    place = max(bisect_right(known, iteration) - 1, 0)
    return rates[known[place]] if known else math.nan


def _named(outputs: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Returns values by name; the elements of one blob, which Caffe prints alike, get an index."""
    count: dict[str, int] = {}
    for name, _ in outputs:
        count[name] = count.get(name, 0) + 1
    seen: dict[str, int] = {}
    named: dict[str, float] = {}
    for name, value in outputs:
        index = seen[name] = seen.get(name, -1) + 1
        named[f"{name}[{index}]" if count[name] > 1 else name] = value
    return named
