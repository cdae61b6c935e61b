"""Every update rule, policy and option: 50 iterations beside the real Caffe end in its weights and history."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from caffeflow.engine.solver import Iteration
from tests.support.fidelity import Keep
from tests.support.native import NativeCaffe
from tests.support.native_forced import ForcedRun
from tests.support.native_ours import solve_ours, write_initial_weights
from tests.support.native_solvers import SolverJob, solve_all
from tests.support.native_training import Trajectory
from tests.support.solved import Apart, Solved, worst
from tests.support.solver_cases import (
    ITERATIONS,
    MATRIX,
    OPTIONS,
    POLICIES,
    RULES,
    SolverBench,
    SolverCase,
)

pytestmark = [pytest.mark.native, pytest.mark.fidelity, pytest.mark.usefixtures("one_thread")]

BOUND = 1e-5  # of a blob's largest entry
LOSS_BOUND = 1e-5  # relative; the printing of six digits takes up to half of it
STEP_BOUND = 1e-4  # of an update's norm, for one step
STEPS = 12
DIVIDING = ("AdaGrad", "RMSProp", "AdaDelta", "Adam")  # the rules with a delta
STEPPED = {
    (rule, policy): SolverCase(rule, policy, "plain", delta="")
    for rule, policy in product(DIVIDING, POLICIES)
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> SolverBench:
    return SolverBench(tmp_path_factory.mktemp("solvers"))


@pytest.fixture(scope="module")
def weights(bench: SolverBench) -> Path:
    """What all trainings begin with."""
    path = bench.folder / "initial.caffemodel"
    write_initial_weights(bench.solver(MATRIX[0]), path)
    return path


@pytest.fixture(scope="module")
def theirs(caffe: NativeCaffe, bench: SolverBench, weights: Path) -> dict[str, Trajectory]:
    """Caffe's trainings of the whole matrix."""
    jobs = [
        SolverJob(name=case.name, solver=bench.solver(case), weights=weights, steps=[ITERATIONS])
        for case in MATRIX
    ]
    return solve_all(caffe, jobs, bench.folder)


def test_the_matrix_is_whole() -> None:
    assert (len(RULES), len(POLICIES), len(OPTIONS)) == (6, 7, 8)
    assert len({case.name for case in MATRIX}) == len(MATRIX) == 336


@pytest.mark.parametrize("rule", RULES)
def test_rule(theirs: dict[str, Trajectory], weights: Path, fidelity: Keep, rule: str) -> None:
    found = {
        (case.policy, case.option): beside(theirs[case.name], weights, case)
        for case in MATRIX
        if case.rule == rule
    }
    assert len(found) == 56
    policies = {each: worst(found[each, option] for option in OPTIONS) for each in POLICIES}
    options = {each: worst(found[policy, each] for policy in POLICIES) for each in OPTIONS}
    fidelity("Solvers", rule, {name: str(apart) for name, apart in policies.items()})
    fidelity("Solver options", rule, {name: str(apart) for name, apart in options.items()})
    wrong = {cell: str(apart) for cell, apart in found.items() if max(apart.weights, apart.history) > BOUND}
    assert not wrong


def beside(theirs: Trajectory, weights: Path, case: SolverCase) -> Apart:
    """Trains a case, checks what Caffe displays of it, and returns how far its end lies from Caffe's."""
    ours, done = solve_ours(theirs.solver, iterations=ITERATIONS, weights=weights)
    check_log(theirs, done, case)
    return Solved.of(ours).apart_from(Solved.read(theirs.weights(ITERATIONS), theirs.state(ITERATIONS)))


def check_log(theirs: Trajectory, done: list[Iteration], case: SolverCase) -> None:
    assert theirs.rates == {each.number: f"{each.rate:g}" for each in done}, case.name
    assert theirs.steps == [note for each in done for note in each.notes], case.name
    assert len(theirs.steps) == (4 if case.policy == "multistep" else 0)
    clipped = theirs.log.count("Gradient clipping")
    assert clipped == sum(each.clipped is not None for each in done), case.name
    assert (clipped > ITERATIONS / 2) == ("clip_gradients" in case.fields), case.name
    losses = theirs.losses
    assert set(losses) == set(range(ITERATIONS))
    for each in done:
        assert each.smoothed == pytest.approx(losses[each.number], rel=LOSS_BOUND), case.name


@pytest.fixture(scope="module")
def steps(caffe: NativeCaffe, bench: SolverBench, weights: Path) -> dict[str, Trajectory]:
    """Caffe's trainings with its own deltas, with a snapshot of every iteration."""
    jobs = [
        SolverJob(
            name=case.name,
            solver=bench.solver(case, name=f"{case.name}-steps"),
            weights=weights,
            steps=[1] * (STEPS + 1),
        )
        for case in STEPPED.values()
    ]
    return solve_all(caffe, jobs, bench.folder)


@pytest.mark.parametrize("rule", DIVIDING)
def test_default_delta(caffe: NativeCaffe, steps: dict[str, Trajectory], fidelity: Keep, rule: str) -> None:
    cells, wrong = {}, {}
    for policy in POLICIES:
        run = ForcedRun(caffe, steps[STEPPED[rule, policy].name], bound=STEP_BOUND)
        done = list(run.steps(STEPS))
        assert len(done) == STEPS
        assert all(step.without_help is None for step in done), "this net has no decisions that could flip"
        update, history = max(step.worst_update for step in done), max(step.history for step in done)
        cells[policy] = f"{update:.0e}, {history:.0e}"
        if update > STEP_BOUND or history > BOUND or max(step.loss for step in done) > LOSS_BOUND:
            wrong[policy] = cells[policy]
    fidelity("Default deltas", rule, cells)
    assert not wrong
