"""Learning-rate policies: the rate of each iteration, and the steps that a run has taken.

The one rule to know: `LearningRate.at` is called once an iteration, in order, because `multistep`
advances by at most one step a call and `plateau` watches the smoothed loss. Its `state` is what a
solverstate keeps. Rates are float32 as Caffe's are; where Caffe computes in double, so do we.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from caffeflow.engine.schedule import AS_THE_SOLVER_SAYS, Schedule
from caffeflow.errors import NetError, suggestion
from caffeflow.proto.caffe_pb2 import SolverParameter

NO_LOSS_YET: Final = float(np.finfo(np.float32).max)


@dataclass
class PolicyState:
    """How far a policy has come; saved in every snapshot."""

    step: int = 0
    minimum_loss: float = NO_LOSS_YET
    last_event: int = 0


@dataclass(frozen=True)
class Rate:
    """The rate of one iteration, and what the log says about how it came about."""

    value: float
    notes: tuple[str, ...] = ()


class LearningRate:
    """The rate of every iteration of a solver.

    Args:
        solver: Where base_lr, lr_policy and the policy's own fields are read.
        schedule: What is asked for beside the solver.

    Raises:
        NetError: An unknown policy, or a field without which it cannot work.
        UsageError: The schedule does not fit into max_iter.
    """

    def __init__(self, solver: SolverParameter, schedule: Schedule = AS_THE_SOLVER_SAYS) -> None:
        self.policy: Final = schedule.policy or solver.lr_policy
        self.state = PolicyState()
        self._solver: Final = solver
        self._schedule: Final = schedule
        schedule.check(solver.max_iter)
        if schedule.policy is None:
            _check(solver)

    def at(self, iteration: int, smoothed_loss: float = NO_LOSS_YET, *, display: bool = False) -> Rate:
        """Returns the rate after `iteration` updates; advances the policy's step where it is due."""
        notes: list[str] = []
        if self.policy == "multistep":
            notes = _advance_multistep(self._solver, self.state, iteration)
        elif self.policy == "plateau":
            notes = _advance_plateau(self._solver, self.state, iteration, smoothed_loss, display=display)
        elif self.policy == "step":
            self.state.step = iteration // self._solver.stepsize
        rate = self._planned(iteration) * self._schedule.warmed(iteration)
        return Rate(float(np.float32(rate)), tuple(notes))

    def _planned(self, iteration: int) -> float:
        if self.policy == "cosine":
            return self._solver.base_lr * self._schedule.cosine(iteration, self._solver.max_iter)
        return _POLICIES[self.policy](self._solver, self.state, iteration)


def _check(solver: SolverParameter) -> None:
    policy = solver.lr_policy
    if policy not in _POLICIES:
        known = ", ".join(sorted(_POLICIES))
        got = f"lr_policy is '{policy}'{suggestion(policy, _POLICIES)}" if policy else "lr_policy is missing"
        raise NetError(f"{got}; it must be one of {known}")
    if policy in ("step", "sigmoid") and solver.stepsize <= 0:
        raise NetError(f"lr_policy '{policy}' needs a stepsize above 0, found {solver.stepsize}")
    if policy in ("step", "exp", "inv", "multistep", "plateau") and solver.gamma < 0:
        raise NetError(f"lr_policy '{policy}' needs a gamma of at least 0, found {solver.gamma:g}")
    if policy == "plateau" and not solver.plateau_winsize:
        raise NetError("lr_policy 'plateau' needs at least one plateau_winsize, found none")


def _advance_multistep(solver: SolverParameter, state: PolicyState, iteration: int) -> list[str]:
    values = solver.stepvalue
    if state.step < len(values) and iteration >= values[state.step]:
        state.step += 1
        return [f"MultiStep Status: Iteration {iteration}, step = {state.step}"]
    return []


def _advance_plateau(
    solver: SolverParameter, state: PolicyState, iteration: int, smoothed_loss: float, *, display: bool
) -> list[str]:
    windows = solver.plateau_winsize
    notes = []
    if smoothed_loss < state.minimum_loss:
        state.minimum_loss = smoothed_loss
        state.last_event = iteration
    if state.step < len(windows) and iteration >= state.last_event + windows[state.step]:
        state.step += 1
        state.last_event = iteration
        notes.append(f"Plateau Status: Iteration {iteration}, step = {state.step}")
    if display and state.last_event > iteration - solver.display:
        notes.append(f"Plateau Status: Iteration {iteration}, current minimum_loss = {state.minimum_loss:g}")
    return notes


_Rule = Callable[[SolverParameter, PolicyState, int], float]


def _fixed(solver: SolverParameter, state: PolicyState, iteration: int) -> float:  # noqa: ARG001
    return solver.base_lr


def _steps(solver: SolverParameter, state: PolicyState, iteration: int) -> float:  # noqa: ARG001
    return float(solver.base_lr * solver.gamma**state.step)


def _exp(solver: SolverParameter, state: PolicyState, iteration: int) -> float:  # noqa: ARG001
    return float(solver.base_lr * solver.gamma**iteration)


def _inv(solver: SolverParameter, state: PolicyState, iteration: int) -> float:  # noqa: ARG001
    base = np.float32(1) + np.float32(solver.gamma) * np.float32(iteration)
    return float(np.float32(solver.base_lr) * _power(base, -np.float32(solver.power)))


def _poly(solver: SolverParameter, state: PolicyState, iteration: int) -> float:  # noqa: ARG001
    left = np.float32(1) - np.float32(iteration) / np.float32(solver.max_iter)
    return float(np.float32(solver.base_lr) * _power(left, np.float32(solver.power)))


def _sigmoid(solver: SolverParameter, state: PolicyState, iteration: int) -> float:  # noqa: ARG001
    height = np.float32(iteration) - np.float32(solver.stepsize)
    with np.errstate(over="ignore"):  # far before the middle the rate is simply 0
        bend = np.float32(np.exp(np.float64(-np.float32(solver.gamma) * height)))
    return float(np.float32(solver.base_lr) * (np.float32(1) / (np.float32(1) + bend)))


def _power(base: np.float32, exponent: np.float32) -> np.float32:
    # numpy's own float32 functions err by units that the C library's, which Caffe calls, do not.
    return np.float32(np.power(np.float64(base), np.float64(exponent)))


_POLICIES: Final[dict[str, _Rule]] = {
    "fixed": _fixed,
    "step": _steps,
    "exp": _exp,
    "inv": _inv,
    "multistep": _steps,
    "poly": _poly,
    "sigmoid": _sigmoid,
    "plateau": _steps,
}
