"""What a test program of a Caffe tree says while it runs: which tests passed, and how it ended.

A fixture is counted with its typed variants: FilterTest/0 (float on the CPU) and FilterTest/1 are one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from caffeflow.native.failure import LastWords

_TOTAL: Final = re.compile(r"\[=+\] Running (\d+) tests? from")
_BEGIN: Final = re.compile(r"\[ RUN      \] (\S+)")
# Whatever a test printed without a line end stands before it. Only the line of a test that just ended has
# a time; the list at the end does not.
_END: Final = re.compile(r"\[ *(OK|FAILED) *\] ([\w/.]+)(?:, where .*)? \(\d+ ms\)")
_VARIANT: Final = re.compile(r"/\d+$")
_NO_GPU: Final = "*GPU*"


@dataclass
class Fixture:
    """The tests of one fixture."""

    name: str
    passed: int = 0
    failed: int = 0


@dataclass
class GtestLog:
    """Sees the program's output line by line.

    Attributes:
        total: How many tests it is about to run.
        fixtures: By name, in the order of the run.
        failed: The tests that failed, by their whole names.
        running: The test that began last and has not ended; after the run: the one that it died in.
    """

    total: int = 0
    fixtures: dict[str, Fixture] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    running: str = ""
    last_words: LastWords = field(default_factory=LastWords)

    @property
    def done(self) -> int:
        """How many tests have ended."""
        return sum(each.passed + each.failed for each in self.fixtures.values())

    def see(self, line: str) -> bool:
        """Takes the next line and returns whether a test ended with it."""
        self.last_words.see(line)
        if total := _TOTAL.search(line):
            self.total = int(total[1])
        elif begun := _BEGIN.search(line):
            self.running = begun[1]
        elif ended := _END.search(line):
            self._end(ended[2], is_good=ended[1] == "OK")
            return True
        return False

    def _end(self, test: str, *, is_good: bool) -> None:
        name = _VARIANT.sub("", test.split(".")[0]).split("/")[-1]
        fixture = self.fixtures.setdefault(name, Fixture(name))
        self.running = ""
        if is_good:
            fixture.passed += 1
        else:
            fixture.failed += 1
            self.failed.append(test)


def filter_option(wanted: str, *, with_gpu: bool) -> str:
    """Returns the --gtest_filter for the tests that are wanted, less those of the GPU where there is none.

    Args:
        wanted: A filter of gtest's own: patterns joined by colons, behind a minus those left out.
        with_gpu: Whether there is a GPU, and the build can use it.
    """
    chosen, minus, left_out = wanted.partition("-")
    patterns = [left_out] if minus and left_out else []
    if not with_gpu:
        patterns.append(_NO_GPU)
    return f"--gtest_filter={chosen or '*'}" + (f"-{':'.join(patterns)}" if patterns else "")
