"""Many solvers of the real Caffe in one process of its Python: what each is to do, and what it left behind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.native import NativeCaffe
from tests.support.native_training import Trajectory, left_behind

DRIVER: Final = Path(__file__).with_name("native_solver_driver.py")
_MARK: Final = "solver job "


@dataclass(frozen=True, kw_only=True)
class SolverJob:
    """One training.

    Attributes:
        name: Unique among the jobs of a process.
        solver: Its file, with absolute paths in it.
        weights: A caffemodel to begin with.
        state: A solverstate to go on from.
        steps: Iterations; after each number of them a snapshot is written.
    """

    name: str
    solver: Path
    weights: Path | None = None
    state: Path | None = None
    steps: Sequence[int]


def solve_all(caffe: NativeCaffe, jobs: Sequence[SolverJob], folder: Path) -> dict[str, Trajectory]:
    """Runs all jobs in one process, and returns what each left behind."""
    path = folder / "jobs.json"
    path.write_text(json.dumps([_as_plain(job) for job in jobs]))
    log = caffe.run("python", DRIVER, path, cwd=folder)
    sections = dict(part.split("\n", 1) for part in log.split(_MARK)[1:])
    assert list(sections) == [job.name for job in jobs]
    return {job.name: left_behind(job.solver, sections[job.name]) for job in jobs}


def _as_plain(job: SolverJob) -> dict[str, object]:
    return {
        "name": job.name,
        "solver": str(job.solver),
        "weights": str(job.weights) if job.weights else None,
        "state": str(job.state) if job.state else None,
        "steps": list(job.steps),
    }
