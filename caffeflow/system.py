"""Starting other programs, and what this machine is; the only place that imports subprocess."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from caffeflow.errors import NativeError


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a program left behind when it ended."""

    command: tuple[str, ...]
    returncode: int
    output: str


def run(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Finished:
    """Runs a program to its end and returns its code and its output, errors included.

    Args:
        command: The program and its arguments; no shell looks at them.
        cwd: Folder to run in.
        env: The whole environment, or None for this process's own.

    Raises:
        NativeError: The program cannot be started.
    """
    words = tuple(str(word) for word in command)
    try:
        done = subprocess.run(  # an exit code is the caller's to judge
            words, cwd=cwd, env=None if env is None else dict(env), check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace",
        )  # fmt: skip
    except OSError as error:
        raise NativeError(f"cannot start '{words[0]}': {error.strerror}") from error
    return Finished(command=words, returncode=done.returncode, output=done.stdout)


def follow(
    command: Sequence[str | Path],
    on_line: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_start: Callable[[subprocess.Popen[str]], None] | None = None,
) -> int:
    """Runs a program, hands over each line of its output as it comes, and returns its code.

    Args:
        command: The program and its arguments; no shell looks at them.
        on_line: Gets every line of stdout and stderr, without the line end.
        cwd: Folder to run in.
        env: The whole environment, or None for this process's own.
        on_start: Gets the process, so that the caller can pass signals on.

    Raises:
        NativeError: The program cannot be started.
    """
    words = [str(word) for word in command]
    try:
        process = subprocess.Popen(
            words, cwd=cwd, env=None if env is None else dict(env), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", bufsize=1,
            start_new_session=True,  # Ctrl-C reaches us alone, and we pass on what is meant for it
        )  # fmt: skip
    except OSError as error:
        raise NativeError(f"cannot start '{words[0]}': {error.strerror}") from error
    if on_start is not None:
        on_start(process)
    assert process.stdout is not None  # noqa: S101 - PIPE was asked for
    with process.stdout as lines:
        for line in lines:
            on_line(line.rstrip("\n"))
    return process.wait()


def usable_cores() -> int:
    """Returns how many cores this process may use (less than the machine's in a container)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_host() -> dict[str, str | int]:
    """Returns the facts about this machine that a run's record keeps."""
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": usable_cores(),
    }


def git_state(folder: Path) -> str | None:
    """Returns `<commit>` or `<commit>-dirty` of the checkout around `folder`, or None."""
    try:
        commit = run(["git", "-C", folder, "rev-parse", "HEAD"])
        status = run(["git", "-C", folder, "status", "--porcelain"])
    except NativeError:
        return None
    if commit.returncode != 0:
        return None
    return commit.output.strip() + ("-dirty" if status.output.strip() else "")
