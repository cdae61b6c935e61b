"""Everything that caffeflow prints: results on stdout, progress, notes and errors on stderr."""

from __future__ import annotations

import json as json_format
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_PLAIN_INTERVAL_S: Final = 10.0


class ProgressBar(Protocol):
    """What long work tells about how far it is."""

    def update(self, done: int, *, total: int | None = None, note: str = "") -> None:
        """Shows how many units are done, of how many, with a few words behind."""


def result(content: RenderableType) -> None:
    """Prints a result (text, or a rich table) on stdout."""
    _stdout().print(content, soft_wrap=True)


def plain(text: str) -> None:
    """Prints a line on stdout as it is, for other programs to read."""
    print(text)


def json(value: Any) -> None:
    """Prints a result as JSON on stdout."""
    print(json_format.dumps(value, indent=2))


def note(text: str) -> None:
    """Prints a remark on stderr."""
    _stderr().print(text, soft_wrap=True)


def line(text: str) -> None:
    """Prints a log line on stderr as it is."""
    print(text, file=sys.stderr, flush=True)


def warning(text: str) -> None:
    """Prints a warning on stderr."""
    _stderr().print(f"warning: {text}", style="yellow", soft_wrap=True)


def error(text: str) -> None:
    """Prints an error on stderr."""
    _stderr().print(f"error: {text}", style="bold red", soft_wrap=True)


def is_terminal() -> bool:
    """Whether somebody looks at stderr, so that a moving bar makes sense."""
    return sys.stderr.isatty()


@contextmanager
def progress(description: str, *, total: int | None = None, unit: str = "images") -> Iterator[ProgressBar]:
    """Shows how far long work is: a bar on a terminal, else a plain line every ten seconds.

    Args:
        description: What is being done.
        total: How many units there are, if that is known.
        unit: What is counted.
    """
    if not is_terminal():
        yield _PlainProgress(description, total, unit)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=_stderr(), transient=True) as bar:
        yield _RichProgress(bar, description, total, unit)


class _Rate:
    """Units a second since the first report, so that what a resumed job had done does not count."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._first: tuple[float, int] | None = None

    def text(self, done: int) -> str:
        now = time.monotonic()
        if self._first is None:
            self._first = (now, done)
        started, already = self._first
        elapsed = now - started
        return f"{(done - already) / elapsed:.1f} {self._unit}/s" if elapsed > 0 and done > already else ""


class _RichProgress:
    def __init__(self, bar: Any, description: str, total: int | None, unit: str) -> None:
        self._bar = bar
        self._rate = _Rate(unit)
        self._task = bar.add_task(description, total=total, rate="", note="")

    def update(self, done: int, *, total: int | None = None, note: str = "") -> None:
        fields: dict[str, Any] = {"completed": done, "rate": self._rate.text(done), "note": note}
        if total is not None:
            fields["total"] = total
        self._bar.update(self._task, **fields)


class _PlainProgress:
    def __init__(self, description: str, total: int | None, unit: str) -> None:
        self._description = description
        self._total = total
        self._rate = _Rate(unit)
        self._last = time.monotonic()

    def update(self, done: int, *, total: int | None = None, note: str = "") -> None:
        self._total = total if total is not None else self._total
        rate = self._rate.text(done)
        if time.monotonic() - self._last < _PLAIN_INTERVAL_S:
            return
        self._last = time.monotonic()
        of = f" of {self._total}" if self._total else ""
        line("  ".join(part for part in (f"{self._description}: {done}{of}", rate, note) if part))


def _stdout() -> Console:
    from rich.console import Console

    # A table piped into a file is not cut to the width of a terminal that is not there.
    width = None if sys.stdout.isatty() else 160
    # Names of layers, files and classes are data: no markup, no emoji codes.
    return Console(width=width, highlight=False, markup=False, emoji=False)


@cache
def _stderr() -> Console:
    # One for all: only the console that shows a moving bar knows to print above it.
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)
