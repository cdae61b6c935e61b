"""Cosine and warm-up against their formulas, alone, together and with the solver's policies."""

from __future__ import annotations

import math

import pytest

from caffeflow.engine.policies import LearningRate
from caffeflow.engine.schedule import Schedule
from caffeflow.errors import NetError, UsageError
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.text import parse

END = 31
POLICIES = {
    'lr_policy: "fixed"': lambda n: 0.3,
    'lr_policy: "step" gamma: 0.5 stepsize: 7': lambda n: 0.3 * 0.5 ** (n // 7),
    'lr_policy: "exp" gamma: 0.9': lambda n: 0.3 * 0.9**n,
    'lr_policy: "inv" gamma: 0.01 power: 0.75': lambda n: 0.3 * (1 + 0.01 * n) ** -0.75,
    'lr_policy: "poly" power: 0.9': lambda n: 0.3 * (1 - n / END) ** 0.9,
    'lr_policy: "sigmoid" gamma: -0.5 stepsize: 11': lambda n: 0.3 / (1 + math.exp(0.5 * (n - 11))),
    'lr_policy: "multistep" gamma: 0.5 stepvalue: 3 stepvalue: 13': lambda n: (
        0.3 * 0.5 ** ((n >= 3) + (n >= 13))
    ),
}


def rates(text: str, schedule: Schedule) -> list[float]:
    solver = parse(f"base_lr: 0.3 max_iter: {END} {text}", SolverParameter(), source="solver")
    policy = LearningRate(solver, schedule)
    return [policy.at(iteration).value for iteration in range(END)]


@pytest.mark.parametrize("text", POLICIES)
@pytest.mark.parametrize("warmup", [1, 5, 30])
def test_warm_up_is_a_factor_on_the_solver_s_policy(text: str, warmup: int) -> None:
    expected = []
    for n in range(END):
        share = (n + 1) / warmup if n < warmup else 1
        expected.append(POLICIES[text](n) * share)
    assert rates(text, Schedule(warmup=warmup)) == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize("warmup", [0, 1, 7])
def test_cosine_begins_where_the_warm_up_ends(warmup: int) -> None:
    expected = []
    for n in range(END):
        if n < warmup:
            expected.append(0.3 * (n + 1) / warmup)
        else:
            expected.append(0.3 * 0.5 * (1 + math.cos(math.pi * (n - warmup) / (END - warmup))))
    found = rates('lr_policy: "step" gamma: 0.1 stepsize: 3', Schedule(policy="cosine", warmup=warmup))
    assert found == pytest.approx(expected, rel=2e-6)
    assert found[max(warmup - 1, 0)] == pytest.approx(0.3)
    assert 0 < found[-1] < 0.002


def test_cosine_needs_no_policy_in_the_solver_and_says_its_name() -> None:
    solver = parse("base_lr: 1 max_iter: 2", SolverParameter(), source="solver")
    policy = LearningRate(solver, Schedule(policy="cosine"))
    assert policy.policy == "cosine"
    assert [policy.at(n).value for n in range(4)] == pytest.approx([1, 0.5, 0, 0])
    with pytest.raises(NetError, match="lr_policy is missing"):
        LearningRate(solver, Schedule(warmup=1))


def test_multistep_and_plateau_keep_their_state_through_a_warm_up() -> None:
    solver = parse(
        'base_lr: 1 max_iter: 9 lr_policy: "plateau" gamma: 0.5 plateau_winsize: 2',
        SolverParameter(),
        source="",
    )
    policy = LearningRate(solver, Schedule(warmup=4))
    found = [policy.at(n, 3.0).value for n in range(5)]
    assert found == pytest.approx([0.25, 0.5, 0.5 * 0.75, 0.5, 0.5])
    assert policy.state.step == 1


@pytest.mark.parametrize(
    ("schedule", "max_iter", "words"),
    [
        (Schedule(warmup=9), 9, "--warmup 9 leaves nothing of 9 iterations"),
        (Schedule(policy="cosine"), 0, "--lr-policy cosine ends at max_iter, which is 0"),
    ],
)
def test_what_does_not_fit_is_refused(schedule: Schedule, max_iter: int, words: str) -> None:
    solver = parse(f'base_lr: 1 lr_policy: "fixed" max_iter: {max_iter}', SolverParameter(), source="")
    with pytest.raises(UsageError, match=words):
        LearningRate(solver, schedule)
