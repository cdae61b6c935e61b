"""Caffe's log: lines with glog's prefix on stderr, each written at once, and log files where asked for.

The one rule to know: without `log_dir` no log files are written. glog writes its own into /tmp then, which
nobody asked for.
"""

from __future__ import annotations

import getpass
import logging
import os
import socket
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, TextIO

from caffeflow.drop_in.flags import PROGRAM
from caffeflow.drop_in.gflags import CommandLine
from caffeflow.engine.lines import LogLine
from caffeflow.errors import CaffeflowError

_LEVELS: Final = {"I": "INFO", "W": "WARNING", "E": "ERROR", "F": "FATAL"}
_LETTERS: Final = "".join(_LEVELS)
_PLACE: Final = "caffe.cpp:44"  # of what caffeflow has to say, and Caffe has not


class FatalError(CaffeflowError):
    """What Caffe aborts of.

    Args:
        text: What the log says of it.
        source: The place in Caffe's source that says so.
    """

    exit_code = 134  # a shell's $? after an abort

    def __init__(self, text: str, source: str = _PLACE) -> None:
        super().__init__(text)
        self.source = source


def require(line: CommandLine, name: str, need: str, source: str) -> None:
    """Makes sure that a flag is given.

    Raises:
        FatalError: It is not.
    """
    if not line.text(name):
        raise FatalError(f"Check failed: FLAGS_{name}.size() > 0 (0 vs. 0) {need}", source)


class Log:
    """Where log lines go.

    Args:
        line: The command line, with glog's flags.
    """

    def __init__(self, line: CommandLine) -> None:
        self._least: Final = line.number("minloglevel")
        self._threshold: Final = line.number("stderrthreshold")
        to_files = bool(line.text("log_dir")) and not line.switch("logtostderr")
        self._all_to_stderr: Final = line.switch("logtostderr") or line.switch("alsologtostderr")
        self._has_prefix: Final = line.switch("log_prefix")
        self._folder = Path(line.text("log_dir")) if to_files else None
        self._files: Final[dict[str, TextIO]] = {}

    def write(self, line: LogLine) -> None:
        """Writes a line."""
        level = _LETTERS.index(line.level)
        if level < self._least and line.level != "F":
            return
        now = datetime.now()
        # glog: a text that ends its own line, as that of a net does, gets no empty one behind it.
        text = (line.with_prefix(now) if self._has_prefix else line.text).removesuffix("\n") + "\n"
        if self._all_to_stderr or level >= self._threshold:
            sys.stderr.write(text)
            sys.stderr.flush()
        if self._folder is not None:
            self._to_files(self._folder, _LETTERS[: level + 1], text, now)

    def info(self, source: str, text: str) -> None:
        """Writes a line of the lowest level."""
        self.write(LogLine(source, text))

    def warn(self, text: str) -> None:
        """Writes something that caffeflow has to say, and Caffe has not."""
        self.write(LogLine(_PLACE, text, level="W"))

    def fatal(self, text: str, source: str = _PLACE) -> None:
        """Writes the last line before the end."""
        self.write(LogLine(source, text, level="F"))

    def close(self) -> None:
        """Closes the log files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _to_files(self, folder: Path, letters: str, text: str, now: datetime) -> None:
        """Writes to the files of a line's level and of those below it, as glog does."""
        try:
            for letter in letters:
                if letter not in self._files:
                    self._files[letter] = _open(folder, _LEVELS[letter], now)
                self._files[letter].write(text)
        except OSError as error:
            # glog: says so and goes on; a training is worth more than its log.
            self._folder = None
            what = f"log_dir '{folder}': cannot be written: {error.strerror}; logging to stderr only"
            self.write(LogLine(_PLACE, what, level="E"))


def _open(folder: Path, level: str, now: datetime) -> TextIO:
    host = socket.gethostname()
    name = f"{PROGRAM}.{host}.{_user()}.log.{level}.{now:%Y%m%d-%H%M%S}.{os.getpid()}"
    file = (folder / name).open("w", encoding="utf-8", buffering=1)
    file.write(f"Log file created at: {now:%Y/%m/%d %H:%M:%S}\nRunning on machine: {host}\n")
    file.write("Log line format: [IWEF]mmdd hh:mm:ss.uuuuuu threadid file:line] msg\n")
    link = folder / f"{PROGRAM}.{level}"
    # glog: the newest file is found under a short name; where links cannot be made there is none.
    with suppress(OSError):
        link.unlink(missing_ok=True)
        link.symlink_to(name)
    return file


class Warnings(logging.Handler):
    """Brings what caffeflow's modules warn of into the log.

    Args:
        log: The log.
    """

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log: Final = log

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one remark."""
        self._log.warn(record.getMessage())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        return "unknown-user"
