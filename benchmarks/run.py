"""Measures caffeflow beside the real Caffe and beside plain PyTorch, in one run.

    python -m benchmarks.run [prepare | feed | passes | loop | start | memory | gpu]...
                             [--repeats N] [--out [FILE]] [--jpegs FOLDER]

Prints a page of Markdown tables. It is meant for a quiet machine: each part says how busy it was before.
The real Caffe is the one that `make test-native` sets up; without it, its comparisons are left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Final

from benchmarks import feed, gpu, loop, machine, memory, passes, prepare, start
from benchmarks.measure import ROOT
from benchmarks.page import Section, Settings
from caffeflow.errors import CaffeflowError
from tests.support.native import find_native_caffe, why_missing

PARTS: Final[dict[str, Callable[[Settings], Section]]] = {
    "prepare": prepare.measure,
    "feed": feed.measure,
    "passes": passes.measure,
    "loop": loop.measure,
    "start": start.measure,
    "memory": memory.measure,
    "gpu": gpu.measure,
}


def main() -> int:
    """Measures the parts that are asked for, and returns 1 if one could not be measured."""
    asked = _arguments()
    page = _Page(asked.out)
    caffe = find_native_caffe()
    page.add("\n".join(_heading(asked)))
    if caffe is None:
        page.add(f"* {why_missing()}\n")
    has_failed = False
    with tempfile.TemporaryDirectory(prefix="caffeflow-bench-") as scratch:
        settings = Settings(
            repeats=asked.repeats,
            is_quick=asked.quick,
            caffe=caffe,
            scratch=Path(scratch).resolve(),
            jpegs=asked.jpegs,
        )
        os.chdir(scratch)  # what is rendered and prepared by default looks around here, and finds nothing
        for name in asked.parts or PARTS:
            load, begun = machine.load_line(), time.monotonic()
            try:
                text = PARTS[name](settings).markdown()
            except (AssertionError, CaffeflowError) as error:
                has_failed = True
                text = f"## {name}\n\n**Could not be measured:** {error}\n"
            page.add(f"{text}* {load} The part took {time.monotonic() - begun:.0f} s.\n")
    return int(has_failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each thing (default: 3)")
    parser.add_argument("--quick", action="store_true", help="everything small, only to see that it runs")
    parser.add_argument("--jpegs", type=Path, metavar="FOLDER", help="JPEGs for part feed, not made ones")
    page = ROOT / "docs" / "benchmarks" / f"{date.today().isoformat()}.md"
    parser.add_argument(
        "--out", nargs="?", type=Path, const=page, metavar="FILE",
        help="write the page to a file, too (without a name: docs/benchmarks/<today>.md)",
    )  # fmt: skip
    asked = parser.parse_args()
    unknown = [name for name in asked.parts if name not in PARTS]
    if unknown:
        parser.error(f"'{unknown[0]}' is none of {', '.join(PARTS)}")
    if asked.repeats < 1:
        parser.error(f"--repeats is {asked.repeats}; it must be at least 1")
    asked.jpegs = asked.jpegs.resolve() if asked.jpegs else None
    asked.out = asked.out.resolve() if asked.out else None
    return asked


def _heading(asked: argparse.Namespace) -> list[str]:
    kind = " (quick: the figures mean nothing)" if asked.quick else ""
    command = " ".join(["python -m benchmarks.run", *sys.argv[1:]])
    return [
        f"# Benchmarks of {date.today().isoformat()}{kind}",
        "",
        *(f"* {line}" for line in machine.describe()),
        f"* `{command}`; each figure is the median of {asked.repeats} measurements (smallest to"
        " largest), the sides taking turns.",
        "",
    ]


class _Page:
    """What was measured so far: on the screen, and in the file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._text = ""

    def add(self, text: str) -> None:
        """Appends a piece."""
        print(text, flush=True)
        self._text += f"{text}\n"
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(self._text.rstrip() + "\n")


if __name__ == "__main__":
    sys.exit(main())
