"""Fuzzes the readers of files and the graph builder: `python -m tests.support.fuzz.run --minutes 10`.

Each target runs in a process of its own, so that a crash in C code, a hang or a full memory ends only that;
then the next. The report says how many inputs each target had, and how many the product took.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.fuzz.running import EXAMPLE_LIMIT_S, LAST_INPUT
from tests.support.fuzz.targets import NAMES

_ROOT: Final = Path(__file__).parents[3]
_SHOWN: Final = 2000  # characters of an input


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a target.

    Attributes:
        report: `tried inputs, taken` if nothing was found, else what was.
    """

    target: str
    failed: bool
    report: str


def run_target(name: str, *, seconds: float, first_seed: int, patience_s: float = 600.0) -> Outcome:
    """Runs a target in a process of its own.

    Args:
        name: The target's.
        seconds: How long to try inputs.
        first_seed: The same gives the same inputs.
        patience_s: How long hypothesis may take beyond that to find the smallest input that fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        words = [
            sys.executable,
            "-m",
            "tests.support.fuzz.child",
            name,
            str(seconds),
            str(first_seed),
            folder,
        ]
        try:
            done = subprocess.run(
                words,
                cwd=_ROOT,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds + patience_s,
            )
        except subprocess.TimeoutExpired:
            return Outcome(target=name, failed=True, report=f"did not end in time; seed {first_seed}")
        if done.returncode == 0:
            return Outcome(target=name, failed=False, report=done.stdout.strip())
        kept = Path(folder) / LAST_INPUT
        shown = repr(kept.read_bytes())[:_SHOWN] if kept.exists() else "none"
    what = f"exit code {done.returncode} (a try may take {EXAMPLE_LIMIT_S:g} s), seed {first_seed}"
    return Outcome(target=name, failed=True, report=f"{what}\nlast input: {shown}\n{done.stderr[-6000:]}")


def main() -> None:
    """Runs all targets, or those that are named, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of all targets together")
    parser.add_argument("--seed", type=int, default=None, help="of the first inputs; drawn if not given")
    parser.add_argument("targets", nargs="*", help=f"some of: {', '.join(NAMES)}")
    options = parser.parse_args()
    names = options.targets or NAMES
    first_seed = random.randrange(2**31) if options.seed is None else options.seed
    print(f"seed {first_seed}", flush=True)
    failed = False
    for name in names:
        outcome = run_target(name, seconds=60 * options.minutes / len(names), first_seed=first_seed)
        print(f"{name:20} {'FAILED ' if outcome.failed else ''}{outcome.report}", flush=True)
        failed |= outcome.failed
    sys.exit(failed)


if __name__ == "__main__":
    main()
