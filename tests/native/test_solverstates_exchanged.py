"""A solverstate written by one is gone on from by the other, and ends where either ends alone.

Data begin anew after a snapshot, by Caffe's rules; so there are as many rows as 25 iterations read whole
times over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest

from caffeflow.drop_in.command import run as run_drop_in
from tests.support.fidelity import Keep
from tests.support.native import NativeCaffe
from tests.support.native_ours import solve_ours, write_initial_weights, write_ours
from tests.support.native_solvers import SolverJob, solve_all
from tests.support.native_training import Trajectory, left_behind, train
from tests.support.solved import Solved, worst
from tests.support.solver_cases import DELTAS, RULES, SolverBench, SolverCase

pytestmark = [pytest.mark.native, pytest.mark.fidelity, pytest.mark.usefixtures("one_thread")]

BOUND = 1e-5  # of a blob's largest entry
HALF = 25
ROWS = 20  # five batches of 4
FORMATS = ("BINARYPROTO", "HDF5")
CASES = {  # a policy whose step the solverstate keeps, multipliers, and decay
    rule: SolverCase(rule, "multistep", "multipliers", DELTAS.get(rule, "")) for rule in RULES
}
Key = tuple[str, str]
"""A rule and a format."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> SolverBench:
    return SolverBench(tmp_path_factory.mktemp("exchanged"), rows=ROWS)


@pytest.fixture(scope="module")
def weights(bench: SolverBench) -> Path:
    path = bench.folder / "initial.caffemodel"
    write_initial_weights(bench.solver(CASES["SGD"]), path)
    return path


@pytest.fixture(scope="module")
def theirs(caffe: NativeCaffe, bench: SolverBench, weights: Path) -> Mapping[Key, Trajectory]:
    """Caffe's 50 iterations, with a snapshot in the middle."""
    jobs = {
        key: SolverJob(name="-".join(key), solver=solver, weights=weights, steps=[HALF, HALF])
        for key, solver in solvers(bench, "theirs").items()
    }
    made = solve_all(caffe, list(jobs.values()), bench.folder)
    return {key: made[job.name] for key, job in jobs.items()}


@pytest.fixture(scope="module")
def continued(caffe: NativeCaffe, bench: SolverBench, weights: Path) -> Mapping[Key, Trajectory]:
    """Caffe's 25 iterations from snapshots that we wrote after 25."""
    jobs = {}
    for key, solver in solvers(bench, "ours").items():
        ours, _ = solve_ours(solver, iterations=HALF, weights=weights)
        state = Path(write_ours(solver, ours).solverstate)
        jobs[key] = SolverJob(name="-".join(key), solver=solver, state=state, steps=[HALF])
    made = solve_all(caffe, list(jobs.values()), bench.folder)
    return {key: made[job.name] for key, job in jobs.items()}


def solvers(bench: SolverBench, of: str) -> dict[Key, Path]:
    """Writes a solver for each rule and format, with snapshots of its own."""
    return {
        (rule, form): bench.solver(CASES[rule], name=f"{rule}-{form}-{of}", more=f"snapshot_format: {form}")
        for rule, form in product(RULES, FORMATS)
    }


def end_of(trajectory: Trajectory) -> Solved:
    return Solved.read(trajectory.weights(2 * HALF), trajectory.state(2 * HALF))


@pytest.mark.parametrize("rule", RULES)
def test_rule(
    theirs: Mapping[Key, Trajectory],
    continued: Mapping[Key, Trajectory],
    weights: Path,
    fidelity: Keep,
    rule: str,
) -> None:
    whole, _ = solve_ours(theirs[rule, "HDF5"].solver, iterations=2 * HALF, weights=weights)
    cells = {}
    for form in FORMATS:
        ends = (Solved.of(whole), end_of(theirs[rule, form]))
        half = theirs[rule, form].state(HALF)
        assert half.name.endswith(".h5") == (form == "HDF5")
        ours, _ = solve_ours(theirs[rule, form].solver, iterations=HALF, snapshot=half)
        assert (ours.iteration, ours.rate.state.step) == (2 * HALF, 4)
        cells[f"Caffe's, {form}"] = worst(Solved.of(ours).apart_from(end) for end in ends)
        cells[f"ours, {form}"] = worst(end_of(continued[rule, form]).apart_from(end) for end in ends)
    assert len(cells) == 4
    fidelity("Solverstates exchanged", rule, {name: str(apart) for name, apart in cells.items()})
    assert max(max(apart.weights, apart.history) for apart in cells.values()) <= BOUND


@pytest.mark.parametrize("form", FORMATS)
def test_commands(
    caffe: NativeCaffe,
    bench: SolverBench,
    theirs: Mapping[Key, Trajectory],
    weights: Path,
    capfd: pytest.CaptureFixture[str],
    form: str,
) -> None:
    """The two programs take turns, in both orders, and say the same of the snapshots."""

    def half(of: str, order: str, *words: str) -> Trajectory:
        solver = bench.solver(
            CASES["SGD"],
            name=f"commands-{of}-{form}",
            max_iter=HALF if order == "first" else 2 * HALF,
            more=f"snapshot_format: {form}",
        )
        if of == "caffe":
            return train(caffe, solver, *words)
        assert run_drop_in(["train", f"-solver={solver}", *words], {}) == 0
        return left_behind(solver, capfd.readouterr().err)

    said = {}
    for first, second in (("caffe", "drop-in"), ("drop-in", "caffe")):
        begun = half(first, "first", f"-weights={weights}")
        ended = half(second, "second", f"-snapshot={begun.state(HALF)}")
        apart = end_of(ended).apart_from(end_of(theirs["SGD", form]))
        assert max(apart.weights, apart.history) <= BOUND
        said[first] = told(begun)
        said[second, "on"] = told(ended)
    assert said["caffe"] == said["drop-in"]
    assert said["caffe", "on"] == said["drop-in", "on"]
    assert len(said["caffe", "on"]) == (4 if form == "BINARYPROTO" else 3)


def told(trajectory: Trajectory) -> list[str]:
    """Returns what a log says of snapshots, without folders."""
    lines = [line.partition("] ")[2] for line in trajectory.log.splitlines()]
    return [
        re.sub(r"/\S*/", "", line)
        for line in lines
        if line.startswith(("Snapshotting", "Resuming", "SGDSolver: restoring"))
    ]


@pytest.mark.parametrize("form", FORMATS)
def test_the_ssd_fork(ssd_caffe: NativeCaffe, bench: SolverBench, weights: Path, form: str) -> None:
    """Its solverstates have two numbers more, without which it dies of an HDF5 file."""

    def solver(of: str, max_iter: int) -> Path:
        more = f"snapshot_format: {form}"
        return bench.solver(CASES["SGD"], name=f"ssd-{of}-{form}", max_iter=max_iter, more=more)

    whole, _ = solve_ours(solver("ours", 2 * HALF), iterations=2 * HALF, weights=weights)
    half, _ = solve_ours(solver("ours", 2 * HALF), iterations=HALF, weights=weights)
    state = write_ours(solver("ours", 2 * HALF), half).solverstate
    theirs = end_of(train(ssd_caffe, solver("theirs", 2 * HALF), f"-snapshot={state}"))
    begun = train(ssd_caffe, solver("begun", HALF), f"-weights={weights}").state(HALF)
    ours, _ = solve_ours(solver("ours", 2 * HALF), iterations=HALF, snapshot=begun)
    for end in (theirs, Solved.of(ours)):
        apart = end.apart_from(Solved.of(whole))
        assert max(apart.weights, apart.history) <= BOUND
