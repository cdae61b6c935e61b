"""Long native work: its log, its surroundings, and that nothing outlives it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from caffeflow.errors import NativeError, StoppedError
from caffeflow.native.job import run_job

# A make with a compiler below it: both hold the pipe. A shell's background ignores SIGINT.
NESTED = "sh -c 'echo $$; exec sleep 60' & wait"


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_every_line_is_handed_over_and_kept_behind_those_before(tmp_path: Path) -> None:
    lines: list[str] = []
    for code in (0, 3):
        command = ["sh", "-c", f"echo out; echo err >&2; exit {code}"]
        assert run_job(command, lines.append, log_path=tmp_path / "log", cwd=tmp_path) == code
    assert lines == ["out", "err"] * 2
    kept = (tmp_path / "log").read_text().splitlines()
    assert kept[:3] == ["$ sh -c 'echo out; echo err >&2; exit 0'", "out", "err"]
    assert len(kept) == 6


def test_messages_are_english_and_no_outer_make_meddles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEFLAGS", "k -j7")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    lines: list[str] = []
    run_job(["sh", "-c", 'echo "$LC_ALL ${MAKEFLAGS:-none}"'], lines.append, log_path=tmp_path / "log")
    assert lines == ["C none"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_ends_everything_that_was_started(tmp_path: Path, number: signal.Signals) -> None:
    seen: list[int] = []

    def on_line(line: str) -> None:
        seen.append(int(line))
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(StoppedError, match="the same command goes on"):
        run_job(["bash", "-c", NESTED], on_line, log_path=tmp_path / "log")
    assert signal.getsignal(number) is before
    deadline = time.monotonic() + 5
    while is_running(seen[0]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(seen[0])


def test_nothing_is_left_when_reading_its_lines_fails(tmp_path: Path) -> None:
    seen: list[int] = []

    def on_line(line: str) -> None:
        seen.append(int(line))
        raise NativeError("cannot be read")

    with pytest.raises(NativeError):
        run_job(["sh", "-c", "echo $$; exec sleep 60"], on_line, log_path=tmp_path / "log")
    assert not is_running(seen[0])
