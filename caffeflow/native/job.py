"""Long native work: every line into a log file, and Ctrl-C stops it with everything that it started.

Compilers and make end cleanly on SIGTERM: they delete the file they were writing, so that the next
build goes on from there. (SIGINT is ignored by whatever a shell put into the background.)
"""

from __future__ import annotations

import os
import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final, Protocol

from caffeflow import system
from caffeflow.errors import StoppedError

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What a make around this process would tell the make below it.
_NOT_INHERITED: Final = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "GNUMAKEFLAGS")


class _Process(Protocol):
    """What is used of a running child, which leads a process group of its own."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self) -> int: ...


class _Job:
    """A running job that signals of this process stop."""

    def __init__(self) -> None:
        self.was_stopped = False
        self._process: _Process | None = None

    def begin(self, process: _Process) -> None:
        self._process = process
        if self.was_stopped:
            self._send(signal.SIGTERM)

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        self._send(signal.SIGKILL if self.was_stopped else signal.SIGTERM)
        self.was_stopped = True

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._send(signal.SIGKILL)
            self._process.wait()

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(self._process.pid, number)


def run_job(
    command: Sequence[str | Path], on_line: Callable[[str], None], *, log_path: Path, cwd: Path | None = None
) -> int:
    """Runs a program to its end and returns its code.

    Args:
        command: The program and its arguments.
        on_line: Gets every line of its output.
        log_path: Gets the command and every line, behind what is there.
        cwd: Folder to run in.

    Raises:
        NativeError: The program cannot be started.
        StoppedError: The user stopped it.
    """
    words = [str(word) for word in command]
    opened = log_path.open("a", encoding="utf-8", errors="replace", buffering=1)
    with opened as log, _stopped_with_us() as job:
        log.write(f"$ {shlex.join(words)}\n")

        def see(line: str) -> None:
            log.write(line + "\n")
            on_line(line)

        code = system.follow(words, see, cwd=cwd, env=_environment(), on_start=job.begin)
    if job.was_stopped:
        raise StoppedError("stopped; what is compiled stays, and the same command goes on")
    return code


def _environment() -> dict[str, str]:
    """Returns this environment with messages in English, as the table of failures knows them."""
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    return kept | {"LC_ALL": "C"}


@contextmanager
def _stopped_with_us() -> Iterator[_Job]:
    job = _Job()
    is_main = threading.current_thread() is threading.main_thread()  # only there may handlers be set
    before = {number: signal.signal(number, job.stop) for number in _SIGNALS} if is_main else {}
    try:
        yield job
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        job.end()
