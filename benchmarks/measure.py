"""Measuring by turns: what else the machine does then hits all sides alike.

A figure is the median of its measurements, shown with the smallest and the largest of them.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from caffeflow import system

ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Sample:
    """Measurements of one thing."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure."""
        return statistics.median(self.values)

    def show(self, unit: str, *, scale: float = 1) -> str:
        """Returns the median with its unit, and the range behind it."""
        low, high = min(self.values) * scale, max(self.values) * scale
        return f"{figures(self.median * scale)} {unit} ({figures(low)} to {figures(high)})"


@dataclass(frozen=True, kw_only=True)
class Process:
    """What a whole process took."""

    seconds: float
    peak_bytes: int


def take_turns(sides: Mapping[str, Callable[[], float]], *, repeats: int) -> dict[str, Sample]:
    """Measures every side `repeats` times, one after the other; each round in the opposite order."""
    values: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(repeats):
        names = list(sides) if turn % 2 == 0 else list(reversed(sides))
        for name in names:
            values[name].append(sides[name]())
    return {name: Sample(tuple(measured)) for name, measured in values.items()}


def run_process(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Process:
    """Runs a program to its end and returns the time and the memory that it took.

    A small process of its own starts it: the system counts the starter's memory as the program's, up to
    the moment at which the program replaces it.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        words = [sys.executable, "-I", "-S", ROOT / "benchmarks" / "launch.py", report, *command]
        done = system.run(words, cwd=cwd, env=own_environment() if env is None else env)
        assert done.returncode == 0, f"{list(command)} ended with {done.returncode}:\n{done.output[-4000:]}"
        return Process(**json.loads(report.read_text()))


def run_module(module: str, *arguments: str | Path) -> Any:
    """Runs a module of the benchmarks in a fresh interpreter and returns the JSON that it printed last."""
    done = system.run([sys.executable, "-m", module, *arguments], cwd=ROOT, env=own_environment())
    assert done.returncode == 0, f"{module} ended with {done.returncode}:\n{done.output[-4000:]}"
    return json.loads(done.output.splitlines()[-1])


def caffeflow(*words: str | Path) -> list[str | Path]:
    """Returns a command of ours as a user starts it."""
    script = Path(sys.executable).with_name("caffeflow")
    return [script, *words] if script.exists() else [sys.executable, "-m", "caffeflow", *words]


def settle() -> None:
    """Waits until what was written has reached the disk, so that nobody waits for another's writing."""
    os.sync()


def own_environment() -> dict[str, str]:
    """Returns the environment for our side: as it comes, without settings of threads."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENBLAS_", "GOTO_", "OMP_", "MKL_", "KMP_"))
    }


def figures(value: float) -> str:
    """Returns a number with three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3g}"
