"""Every learning-rate policy against its formula."""

from __future__ import annotations

import math

import pytest

from caffeflow.engine.policies import LearningRate
from caffeflow.errors import NetError
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.text import parse


def policy_of(text: str) -> LearningRate:
    return LearningRate(parse(text, SolverParameter(), source="solver"))


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ('lr_policy: "fixed"', lambda n: 0.3),
        ('lr_policy: "step" gamma: 0.5 stepsize: 7', lambda n: 0.3 * 0.5 ** (n // 7)),
        ('lr_policy: "exp" gamma: 0.9', lambda n: 0.3 * 0.9**n),
        ('lr_policy: "inv" gamma: 0.01 power: 0.75', lambda n: 0.3 * (1 + 0.01 * n) ** -0.75),
        ('lr_policy: "poly" power: 0.9 max_iter: 31', lambda n: 0.3 * (1 - n / 31) ** 0.9),
        (
            'lr_policy: "sigmoid" gamma: -0.5 stepsize: 11',
            lambda n: 0.3 / (1 + math.exp(0.5 * (n - 11))),
        ),
    ],
)
def test_rate_follows_its_formula(text: str, formula) -> None:
    policy = policy_of(f"base_lr: 0.3 {text}")
    for iteration in range(31):
        assert policy.at(iteration).value == pytest.approx(formula(iteration), rel=2e-6)


def test_rates_are_float32() -> None:
    assert policy_of('base_lr: 0.1 lr_policy: "fixed"').at(0).value == 0.10000000149011612


@pytest.mark.parametrize(
    ("text", "iteration", "printed"),
    [
        ('lr_policy: "poly" power: 1.3 max_iter: 53', 28, "0.000883141"),
        ('lr_policy: "poly" power: 1.3 max_iter: 53', 31, "0.000747925"),
        ('lr_policy: "sigmoid" gamma: 0.3 stepsize: 23', 4, "7.82235e-06"),
    ],
)
def test_rates_are_rounded_as_the_c_library_rounds_them(text: str, iteration: int, printed: str) -> None:
    """Rates so near to the middle of two six-digit numbers that a last bit shows; as the real Caffe logs them."""
    assert f"{policy_of(f'base_lr: 0.00234567 {text}').at(iteration).value:g}" == printed


def test_multistep_takes_one_step_an_iteration() -> None:
    policy = policy_of('base_lr: 1 lr_policy: "multistep" gamma: 0.5 stepvalue: 3 stepvalue: 3 stepvalue: 5')
    rates = [policy.at(iteration) for iteration in range(8)]
    assert [rate.value for rate in rates] == [0.5**step for step in (0, 0, 0, 1, 2, 3, 3, 3)]
    assert rates[3].notes == ("MultiStep Status: Iteration 3, step = 1",)
    assert rates[6].notes == ()
    assert policy.state.step == 3


def test_plateau_steps_when_the_loss_has_not_fallen_for_a_window() -> None:
    policy = policy_of(
        'base_lr: 1 lr_policy: "plateau" gamma: 0.1 display: 2 plateau_winsize: 3 plateau_winsize: 2'
    )
    losses = [5, 4, 4.5, 4.5, 4.5, 4.5, 4.5, 3]
    rates = [policy.at(iteration, loss, display=iteration % 2 == 0) for iteration, loss in enumerate(losses)]
    # the minimum is reached at 1; 3 iterations later the first step, 2 more later the second
    assert [rate.value for rate in rates] == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    assert "Plateau Status: Iteration 4, step = 1" in rates[4].notes
    assert "Plateau Status: Iteration 2, current minimum_loss = 4" in rates[2].notes
    assert (policy.state.step, policy.state.minimum_loss, policy.state.last_event) == (2, 3, 7)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("base_lr: 1", "lr_policy is missing; it must be one of exp, fixed"),
        ('lr_policy: "setp"', "'setp'; did you mean 'step'"),
        ('lr_policy: "step" gamma: 0.1', "stepsize above 0, found 0"),
        ('lr_policy: "sigmoid" gamma: 0.1', "stepsize above 0"),
        ('lr_policy: "exp" gamma: -1', "gamma of at least 0, found -1"),
        ('lr_policy: "plateau" gamma: 0.1', "plateau_winsize"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(text: str, words: str) -> None:
    with pytest.raises(NetError, match=words):
        policy_of(text)
