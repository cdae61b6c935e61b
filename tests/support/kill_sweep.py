"""Kills real commands at random moments with SIGKILL, resumes them, and compares with an unbroken run.

    python -m tests.support.kill_sweep --times 20 [prepare-lmdb | prepare-imagedata | prepare-boxes | train]...

The first kills are spread over the whole run, from the interpreter's start to its last breath. What was
resumed may be killed again, up to three times more. Ends with 1 if anything came out otherwise.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.kill_subjects import SUBJECTS, Content, Subject, write_inputs

ROOT: Final = Path(__file__).resolve().parents[2]
MORE_KILLS: Final = 3
TIMEOUT_S: Final = 300.0


@dataclass
class Trial:
    """One run that was broken off and brought to its end; `moments` are the kills, in shares of a run."""

    number: int
    moments: list[float] = field(default_factory=list)
    had_kept: bool = False
    failure: str = ""


def main() -> int:
    """Sweeps, prints the table, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("subjects", nargs="*", metavar="|".join(SUBJECTS), help="what to kill (default: all)")
    parser.add_argument("--times", type=int, default=20, help="broken runs of each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default: %(default)s)")
    asked = parser.parse_args()
    for name in asked.subjects:
        if name not in SUBJECTS:
            parser.error(f"'{name}' is none of {', '.join(SUBJECTS)}")
    rows, failures = [], []
    with tempfile.TemporaryDirectory(prefix="kill-sweep-") as folder:
        write_inputs(Path(folder, "inputs"))
        for name in asked.subjects or SUBJECTS:
            sweep = Sweep(SUBJECTS[name], Path(folder), random.Random(f"{asked.seed} {name}"))
            trials = sweep.run(asked.times)
            rows.append(row(name, sweep.seconds, trials))
            failures += [f"{name}, {describe(trial)}: {trial.failure}" for trial in trials if trial.failure]
    print_table(rows)
    print("\n".join(failures))
    return 1 if failures else 0


class Sweep:
    """All broken runs of one command."""

    def __init__(self, subject: Subject, folder: Path, rng: random.Random) -> None:
        self._subject: Final = subject
        self._folder: Final = folder
        self._rng: Final = rng
        self.seconds = 0.0
        self._expected: Content = {}

    def run(self, times: int) -> list[Trial]:
        """Returns the trials, the moments of whose first kills are spread over the run."""
        self._measure()
        trials = []
        for number in range(times):
            share = (number + self._rng.random()) / times
            trials.append(self._try(number, share))
            print(f"{self._subject.name}: {describe(trials[-1])}", file=sys.stderr, flush=True)
        return trials

    def _measure(self) -> None:
        """Does three unbroken runs: what must come out, that it always does, and how long it takes."""
        contents, seconds = [], []
        for _ in range(3):
            work = self._new_folder("unbroken")
            start = time.perf_counter()
            code, output = self._call(work, kill_after=None)
            seconds.append(time.perf_counter() - start)
            assert code == 0, f"an unbroken {self._subject.name} ended with {code}:\n{output}"
            contents.append(self._subject.content(work / self._subject.out))
        self.seconds, self._expected = min(seconds), contents[0]
        for content in contents[1:]:
            difference = differences(content, self._expected)
            assert not difference, f"two unbroken runs of {self._subject.name} differ: {difference}"

    def _try(self, number: int, share: float) -> Trial:
        """Kills a run at a share of its length; again, if it was quicker than the unbroken ones."""
        trial = Trial(number)
        while not trial.moments:
            work = self._new_folder("broken")
            start = time.perf_counter()
            code, output = self._call(work, kill_after=share * self.seconds)
            if code is None:
                trial.moments.append(share)
            elif code == 0:
                self.seconds = time.perf_counter() - start
            else:
                trial.failure = f"ended with {code} before it was killed: {last_line(output)}"
                return trial
        trial.had_kept = self._subject.has_kept(work / self._subject.out)
        self._resume(trial, work)
        return trial

    def _resume(self, trial: Trial, work: Path) -> None:
        """Brings a killed run to its end, over more kills perhaps, and compares."""
        code: int | None = None
        out, output = work / self._subject.out, ""
        while not self._subject.is_done(out):
            is_last = len(trial.moments) > MORE_KILLS or self._rng.random() < 0.5
            share = self._rng.random()
            code, output = self._call(work, kill_after=None if is_last else share * self.seconds)
            if code is not None:
                break
            trial.moments.append(share)
        if code not in (None, 0):
            trial.failure = f"did not resume, ended with {code}: {last_line(output)}"
            return
        trial.failure = differences(self._subject.content(out), self._expected)

    def _new_folder(self, name: str) -> Path:
        """Makes an empty working folder in which the inputs lie."""
        work = self._folder / name
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        for given in (self._folder / "inputs").iterdir():
            (work / given.name).symlink_to(given)
        return work

    def _call(self, work: Path, *, kill_after: float | None) -> tuple[int | None, str]:
        """Runs the command, resuming what is there; returns its code, None if it was killed, and its output."""
        out = work / self._subject.out
        resume = ["--resume"] if out.exists() and self._subject.can_resume(out) else []
        words = [sys.executable, "-m", "caffeflow", *self._subject.command, *resume]
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                words, cwd=work, env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
            try:
                code: int | None = process.wait(TIMEOUT_S if kill_after is None else kill_after)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                assert kill_after is not None, f"{self._subject.name} took longer than {TIMEOUT_S:g} s"
                code = None
            output.seek(0)
            return code, output.read().decode(errors="replace")


def differences(found: Content, expected: Content) -> str:
    """Returns what differs, in words; empty if nothing does."""
    parts = [
        *(f"{name} is missing" for name in sorted(expected.keys() - found.keys())),
        *(f"{name} is left over" for name in sorted(found.keys() - expected.keys())),
        *(f"{name} differs" for name in sorted(found.keys() & expected.keys()) if found[name] != expected[name]),
    ]  # fmt: skip
    return ", ".join(parts[:5]) + (f" and {len(parts) - 5} more" if len(parts) > 5 else "")


def last_line(output: str) -> str:
    """Returns the last line of a program's output."""
    return next((line for line in reversed(output.splitlines()) if line.strip()), "(no output)")


def describe(trial: Trial) -> str:
    """Returns a trial in one line."""
    moments = ", ".join(f"{moment:.0%}" for moment in trial.moments)
    return f"trial {trial.number + 1}, killed at {moments}: {'FAILED' if trial.failure else 'equal'}"


def row(name: str, seconds: float, trials: list[Trial]) -> list[str]:
    """Returns a subject's line of the table."""
    first = [trial.moments[0] for trial in trials if trial.moments]
    return [
        name,
        f"{seconds:.1f} s",
        str(len(trials)),
        str(sum(len(trial.moments) for trial in trials)),
        f"{min(first, default=0):.0%} to {max(first, default=0):.0%}",
        str(sum(trial.had_kept for trial in trials)),
        str(sum(bool(trial.failure) for trial in trials)),
    ]


def print_table(rows: list[list[str]]) -> None:
    """Prints the table as Markdown."""
    print("| command | unbroken | broken runs | kills | first kills at | with something kept | failures |")
    print("|---|---|---|---|---|---|---|")
    for cells in rows:
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    sys.exit(main())
