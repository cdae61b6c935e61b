"""What `prepare` shows while it works: one bar at a time, and remarks between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from caffeflow.cli import console
from caffeflow.cli.prepare_report import forecast_line
from caffeflow.data.build import Forecast, Progress
from caffeflow.workflows.prepare import Watch

_MEGABYTE: Final = 1_000_000


@contextmanager
def watcher() -> Iterator[Watch]:
    """Yields the `Watch` that shows everything on stderr."""
    with ExitStack() as stack:
        shown = _Shown(stack)
        yield Watch(
            tell=shown.tell,
            on_note=shown.on_note,
            on_forecast=shown.on_forecast,
            on_progress=shown.on_progress,
        )


class _Shown:
    """Holds the bar that is on show; a remark closes it first, so that neither is garbled."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._doing = ""
        self._bar: console.ProgressBar | None = None

    def tell(self, doing: str, done: int, total: int | None) -> None:
        """Shows how far reading, fetching or unpacking is."""
        of = None if total is None else total // _MEGABYTE
        self._switch(doing, of, unit="MB").update(done // _MEGABYTE)

    def on_note(self, text: str) -> None:
        """Shows a remark."""
        self._close()
        console.note(f"note: {text}")

    def on_forecast(self, expected: Forecast) -> None:
        """Shows what is to be expected."""
        self._close()
        console.note(forecast_line(expected))

    def on_progress(self, progress: Progress) -> None:
        """Shows how far a split is."""
        note = f"{progress.rejected} left out" if progress.rejected else ""
        self._switch(progress.split, progress.total, unit="images").update(progress.done, note=note)

    def _switch(self, doing: str, total: int | None, *, unit: str) -> console.ProgressBar:
        """Returns the bar of what is being done; a new one if that is not what was done before."""
        if self._bar is None or doing != self._doing:
            self._close()
            self._bar = self._stack.enter_context(console.progress(doing, total=total, unit=unit))
            self._doing = doing
        return self._bar

    def _close(self) -> None:
        self._stack.close()
        self._bar = None
