"""Why a native tool died, from the lines it left: one sentence instead of an exit code.

A fatal check of Caffe is a glog line that begins with F, followed by a stack trace and SIGABRT; the
shell calls that 134. What protobuf says about a prototxt comes on a line of its own, before it.
"""

from __future__ import annotations

import re
import signal
from typing import Final

# Severity, month and day (a year before them in newer glog), time, thread, place] text
_GLOG: Final = re.compile(
    r"^(?P<level>[IWEF])(?:\d{4})?\d{4} [\d:.]+ +\d+ (?P<place>[^\]]+)\] ?(?P<text>.*)$"
)
_PROTOBUF: Final = re.compile(r"^\[libprotobuf (?:ERROR|FATAL) [^\]]+\] (?P<text>.*)$")
_STACK: Final = ("*** Check failure stack trace", "*** Aborted at", "    @ ", "PC: @")

# What the user can do, where Caffe's words do not say it. The first that is found is told.
_ADVICE: Final[tuple[tuple[str, str], ...]] = (
    (
        "Cannot use GPU in CPU-only Caffe",
        "this caffe has no GPU support: use solver_mode: CPU, without --gpu",
    ),
    (r"cudaSuccess \(2 vs", "the GPU's memory is full: lower batch_size (iter_size makes up for it)"),
    (r"cudaSuccess \((?:10|101) vs", "there is no such GPU: look at nvidia-smi, and give --gpu its number"),
    (r"cudaSuccess \((?:35|803) vs", "the GPU driver is older than this caffe's CUDA: update the driver"),
    (r"mdb_status == 0 \(2 vs", "a Data layer's source is missing, seen from the working folder"),
    (r"error while loading shared libraries", "add that library's folder to LD_LIBRARY_PATH"),
    (
        r"Failed to parse (?:Net|Solver)Parameter",
        "this caffe's schema differs: use a tree that has the field",
    ),
)


class LastWords:
    """Sees a tool's output line by line and keeps what explains its end."""

    def __init__(self) -> None:
        self._fatal = ""
        self._error = ""
        self._protobuf = ""
        self._last = ""

    def see(self, line: str) -> None:
        """Takes the next line of the tool's output."""
        if not line.strip() or line.startswith(_STACK):
            return
        self._last = line.strip()
        if found := _PROTOBUF.match(line):
            self._protobuf = found["text"]
        elif (found := _GLOG.match(line)) and found["level"] in "EF":
            words = f"{found['text'].strip()} ({found['place']})"
            if found["level"] == "F":
                self._fatal = words
            else:
                self._error = words

    def explain(self, returncode: int) -> str:
        """Returns why the tool ended with `returncode`, and what to do where that is known."""
        how = _describe_end(returncode)
        if self._fatal:
            words = f"{self._protobuf} {self._fatal}".strip()
        elif "SIG" in how:
            words = f"{how}; its last line: {self._last}" if self._last else how
        else:
            words = self._error or self._last or how
        advice = next((advice for pattern, advice in _ADVICE if re.search(pattern, words)), None)
        return f"{words}; {advice}" if advice else words


def _describe_end(returncode: int) -> str:
    number = -returncode if returncode < 0 else returncode - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"ended with exit code {returncode}"
    reason = " (most often: the machine ran out of memory)" if name == "SIGKILL" else ""
    return f"killed by {name}{reason}"
